#pragma once
// Concatenation along the channels: per pixel, the first stream's words, then the second's.
//
// Reference    flow/ops/layout.py, Concat, bit-exact
// Throughput   1 word per cycle; `words` of them are one vector
// Stall        only the stream whose turn it is is read

#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"

// The elements of a word in OutBits each, extended by their kind.
template <int Kind, int Lanes, int Bits, int OutBits>
ap_uint<Lanes * OutBits> extended(const ap_uint<Lanes * Bits>& word) {
#pragma HLS INLINE
  ap_uint<Lanes * OutBits> wide = 0;
  for (int lane = 0; lane < Lanes; ++lane) {
#pragma HLS UNROLL
    const ap_uint<Bits> code = lane_of<Bits>(word, lane);
    ap_uint<OutBits> element = code;
    if constexpr (Kind == SignedKind) {
      element = value_of<Kind>(code);
    }
    wide.range(lane * OutBits + OutBits - 1, lane * OutBits) = element;
  }
  return wide;
}

template <int Channels0, int Channels1, int Lanes, int InBits0, int InKind0, int InBits1,
          int InKind1, int OutBits>
void concat(hls::stream<ap_uint<Lanes * InBits0>>& in0, hls::stream<ap_uint<Lanes * InBits1>>& in1,
            hls::stream<ap_uint<Lanes * OutBits>>& out, int words, int vectors) {
  static_assert(0 < Lanes && Channels0 % Lanes == 0 && Channels1 % Lanes == 0,
                "Lanes must divide the channels of both streams");
  static_assert(InBits0 <= OutBits && InBits1 <= OutBits, "OutBits must hold both");
  constexpr int Beats0 = Channels0 / Lanes;
  constexpr int Beats = (Channels0 + Channels1) / Lanes;

  int place = 0;
beats:
  for (long long beat = 0; beat < static_cast<long long>(vectors) * words; ++beat) {
#pragma HLS PIPELINE II=1
    if (place < Beats0) {
      out.write(extended<InKind0, Lanes, InBits0, OutBits>(in0.read()));
    } else {
      out.write(extended<InKind1, Lanes, InBits1, OutBits>(in1.read()));
    }
    place = (place == Beats - 1) ? 0 : place + 1;
  }
}
