#pragma once
// AXI4-Stream to image beats: Words bus words make a beat, the first one in the low bits.
//
// Reference    docs/amd.md; the word layout of axi_input.sv
// Throughput   1 bus word per cycle, Words * Beats of them per image
//
// The number of images is an argument of the call, so TLAST is not looked at.

#include "ap_axi_sdata.h"
#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"

template <int Bytes, int Words, int Beats, int Bits>
void axi_input(hls::stream<ap_axiu<8 * Bytes, 0, 0, 0>>& in, hls::stream<ap_uint<Bits>>& out,
               int vectors) {
  static_assert(Bits <= 8 * Bytes * Words, "a beat must fit its bus words");
  static_assert(Bits > 8 * Bytes * (Words - 1), "a beat must need its bus words");
  constexpr int Steps = Words * Beats;

  ap_uint<8 * Bytes * Words> beat = 0;
  int part = 0;
words:
  for (long long step = 0; step < static_cast<long long>(vectors) * Steps; ++step) {
#pragma HLS PIPELINE II=1
    const ap_uint<8 * Bytes> word = in.read().data;
    beat = shift_in<8 * Bytes>(beat, word);
    const bool last = part == Words - 1;
    if (last) {
      out.write(ap_uint<Bits>(beat));
    }
    part = last ? 0 : part + 1;
  }
}
