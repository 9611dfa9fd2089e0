#pragma once
// Pooling: the largest value or the sum of each window, one row of partial results.
//
// Reference    flow/ops/pool.py, bit-exact; maxpool.hpp and sumpool.hpp give it its parameters
// Throughput   windows apart: Height * Width * Beats cycles per frame; else as window.hpp
// Stall        no word is read while one can be written
//
// Windows that share no pixel are accumulated as the image passes: OutWidth * Beats partial results
// are held, never an image. Others come out of the buffer of a window, one channel group after the
// other. Sum = 0 keeps the largest value, Sum = 1 adds and wraps.

#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"
#include "sliding.hpp"

// Partial results with x, the next word that windows hold, joined to the one it belongs to.
template <int Lanes, int InBits, int InKind, int OutBits, int Sum>
ap_uint<Lanes * OutBits> pooled(const ap_uint<Lanes * InBits>& x,
                                const ap_uint<Lanes * OutBits>& known, bool first) {
#pragma HLS INLINE
  ap_uint<Lanes * OutBits> joined = 0;
  for (int lane = 0; lane < Lanes; ++lane) {
#pragma HLS UNROLL
    const ap_uint<InBits> code = lane_of<InBits>(x, lane);
    ap_uint<OutBits> result = lane_of<OutBits>(known, lane);
    if constexpr (Sum == 1) {
      const ap_uint<OutBits> value = value_of<InKind>(code);
      result = first ? value : ap_uint<OutBits>(result + value);
    } else {
      const bool greater = value_of<InKind>(code) > value_of<InKind>(result);
      result = (first || greater) ? code : result;
    }
    joined.range(lane * OutBits + OutBits - 1, lane * OutBits) = result;
  }
  return joined;
}

template <int Height, int Width, int Channels, int Lanes, int InBits, int InKind, int OutBits,
          int Sum, int KernelH, int KernelW, int StrideH, int StrideW, int DilationH, int DilationW>
void pool(hls::stream<ap_uint<Lanes * InBits>>& in, hls::stream<ap_uint<Lanes * OutBits>>& out,
          int vectors) {
  static_assert(0 < Lanes && Channels % Lanes == 0, "Lanes must divide Channels");
  static_assert(Sum == 1 || OutBits == InBits, "a largest value is as wide as the input");
  constexpr int Beats = Channels / Lanes;
  constexpr int SpanH = span_of(KernelH, DilationH);
  constexpr int SpanW = span_of(KernelW, DilationW);
  static_assert(SpanH <= Height && SpanW <= Width, "a window must fit into the image");
  constexpr int OutHeight = positions_of(Height, SpanH, StrideH);
  constexpr int OutWidth = positions_of(Width, SpanW, StrideW);
  constexpr bool Apart = SpanH == KernelH && (StrideH >= KernelH || OutHeight == 1) &&
                         SpanW == KernelW && (StrideW >= KernelW || OutWidth == 1);

  // the words that windows hold, as rows of TapsW * Columns pixels: apart, those of the image
  constexpr int TapsH = Apart ? KernelH : 1;
  constexpr int TapsW = Apart ? KernelW : KernelH * KernelW;
  constexpr int Columns = Apart ? OutWidth : 1;
  constexpr int PixelWords = Apart ? Beats : 1;
  constexpr int Partials = Columns * PixelWords;
  constexpr int InWords = Height * Width * Beats;
  constexpr int Steps = InWords + (Apart ? 0 : OutHeight * OutWidth * KernelH * KernelW * Beats);

  crop<Height, Width, Beats, SpanH, SpanW, StrideH, StrideW> cropped;
  sliding<Height, Width, Channels, Lanes, InBits, KernelH, KernelW, StrideH, StrideW, DilationH,
          DilationW, Beats>
      buffer;
  ap_uint<Lanes * OutBits> partial[Partials];
  int beat = 0;
  int column = 0;
  int tap_w = 0;
  int tap_h = 0;
steps:
  for (long long step = 0; step < static_cast<long long>(vectors) * Steps; ++step) {
#pragma HLS PIPELINE II=1
    ap_uint<Lanes * InBits> x = 0;
    bool take = false;
    if constexpr (Apart) {
      x = in.read();
      take = cropped.keep();
    } else {
      take = buffer.full();
      if (take) {
        x = buffer.get();
      } else {
        buffer.put(in.read());
      }
    }
    if (take) {
      const int address = column * PixelWords + beat;
      const bool first = tap_w == 0 && tap_h == 0;
      const bool pixel_last = beat == PixelWords - 1;
      const bool tap_w_last = tap_w == TapsW - 1;
      const bool tap_h_last = tap_h == TapsH - 1;
      const bool window_last = pixel_last && tap_w_last;
      const bool row_last = window_last && column == Columns - 1;
      const ap_uint<Lanes * OutBits> joined =
          pooled<Lanes, InBits, InKind, OutBits, Sum>(x, partial[address], first);
      partial[address] = joined;
      if (tap_w_last && tap_h_last) {
        out.write(joined);
      }
      beat = pixel_last ? 0 : beat + 1;
      if (pixel_last) {
        tap_w = tap_w_last ? 0 : tap_w + 1;
      }
      if (window_last) {
        column = row_last ? 0 : column + 1;
      }
      if (row_last) {
        tap_h = tap_h_last ? 0 : tap_h + 1;
      }
    }
  }
}
