#pragma once
// Width converter: the same elements in words of another number of lanes, an integer ratio either
// way; equal widths pass through.
//
// Reference    a reshape of the element sequence
// Throughput   1 narrow word per cycle; `words` of them are one vector

#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"

template <int InLanes, int OutLanes, int Bits>
void width(hls::stream<ap_uint<InLanes * Bits>>& in, hls::stream<ap_uint<OutLanes * Bits>>& out,
           int words, int vectors) {
  static_assert(0 < InLanes && 0 < OutLanes && 0 < Bits, "sizes are positive");
  static_assert(InLanes % OutLanes == 0 || OutLanes % InLanes == 0,
                "one number of lanes must divide the other");
  constexpr int Narrow = (InLanes < OutLanes ? InLanes : OutLanes) * Bits;
  constexpr int Ratio = larger(InLanes, OutLanes) * Bits / Narrow;

  ap_uint<Ratio * Narrow> held = 0;
  int phase = 0;
beats:
  for (long long beat = 0; beat < static_cast<long long>(vectors) * words; ++beat) {
#pragma HLS PIPELINE II=1
    const bool last = phase == Ratio - 1;
    if constexpr (InLanes < OutLanes) {
      held = shift_in<Narrow>(held, in.read());
      if (last) {
        out.write(held);
      }
    } else {
      held = (phase == 0) ? in.read() : shift_in<Narrow>(held, ap_uint<Narrow>(0));
      out.write(lane_of<Narrow>(held, 0));
    }
    phase = last ? 0 : phase + 1;
  }
}
