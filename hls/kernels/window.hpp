#pragma once
// Sliding windows of an image, read from a buffer of one window's extent.
//
// Reference    flow/ops/window.py, bit-exact
// Throughput   1 word in or out per cycle: Height * Width * Beats words in, positions * KernelH *
//              KernelW * Beats words out per frame
// Stall        no word is read while one can be written
//
// Each position leaves as KernelH * KernelW * Beats words in order (group, kh, kw, channel of the
// group). What window.sv buffers beyond one extent is the depth of the stream in front.

#include "ap_int.h"
#include "hls_stream.h"
#include "sliding.hpp"

template <int Height, int Width, int Channels, int Lanes, int Bits, int KernelH, int KernelW,
          int StrideH, int StrideW, int DilationH, int DilationW, int Groups>
void window(hls::stream<ap_uint<Lanes * Bits>>& in, hls::stream<ap_uint<Lanes * Bits>>& out,
            int vectors) {
  static_assert(0 < Lanes && Channels % Lanes == 0, "Lanes must divide Channels");
  static_assert(0 < Groups && Channels / Lanes % Groups == 0, "Lanes must divide a group");
  static_assert(span_of(KernelH, DilationH) <= Height && span_of(KernelW, DilationW) <= Width,
                "a window must fit into the image");
  sliding<Height, Width, Channels, Lanes, Bits, KernelH, KernelW, StrideH, StrideW, DilationH,
          DilationW, Groups>
      buffer;
  constexpr int Steps = decltype(buffer)::InWords + decltype(buffer)::OutWords;
steps:
  for (long long step = 0; step < static_cast<long long>(vectors) * Steps; ++step) {
#pragma HLS PIPELINE II=1
    if (buffer.full()) {
      out.write(buffer.get());
    } else {
      buffer.put(in.read());
    }
  }
}
