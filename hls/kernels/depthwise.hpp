#pragma once
// Depthwise product: Pe channels at a time, each with its own weights, one tap per cycle.
//
// Reference    flow/ops/matvec.py with groups = rows, bit-exact, the accumulator's wrap included
// Throughput   1 word per cycle, (Rows / Pe) * Columns cycles per vector
//
// A word holds Pe channels of one tap, the taps of these channels follow each other: what
// window.hpp gives with Groups = Rows / Pe and Lanes = Pe.

#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"
#include "parity.hpp"

template <int Rows, int Columns, int Pe, int InBits, int InKind, int WeightBits, int WeightKind,
          int AccBits, int Popcount, int WeightLo = -(1 << (WeightBits - 1)),
          int WeightHi = (1 << (WeightBits - 1)) - 1,
          int Parity = 0>
void depthwise(hls::stream<ap_uint<Pe * InBits>>& in, hls::stream<ap_uint<Pe * AccBits>>& out,
               const ap_uint<Pe * WeightBits + Parity> (&weights)[(Rows / Pe) * Columns],
               ap_uint<1>& detected, int vectors) {
  static_assert(0 < Pe && Rows % Pe == 0, "Pe must divide Rows");
  static_assert(0 < AccBits && AccBits <= 63, "an accumulator has 1 to 63 bits");
  static_assert(WeightKind == SignedKind || WeightKind == BipolarKind, "WeightKind is 1 or 2");
  static_assert(Popcount == 0 || (InKind == BipolarKind && WeightKind == BipolarKind),
                "Popcount counts agreeing bits: inputs and weights must be bipolar");
  constexpr int Words = (Rows / Pe) * Columns;

  ap_uint<AccBits> accumulator[Pe];
#pragma HLS ARRAY_PARTITION variable=accumulator complete
  int tap = 0;
  int address = 0;
taps:
  for (long long step = 0; step < static_cast<long long>(vectors) * Words; ++step) {
#pragma HLS PIPELINE II=1
    const ap_uint<Pe * InBits> inputs = in.read();
    const ap_uint<Pe * WeightBits> word = checked<Parity>(weights[address], detected);
    ap_uint<Pe * AccBits> sums = 0;
    for (int pe = 0; pe < Pe; ++pe) {
#pragma HLS UNROLL
      const ap_uint<WeightBits> weight = lane_of<WeightBits>(word, pe);
      const ap_uint<InBits> input = lane_of<InBits>(inputs, pe);
      ap_uint<AccBits> sum = (tap == 0) ? ap_uint<AccBits>(0) : accumulator[pe];
      if constexpr (Popcount == 1) {
        sum += ap_uint<1>(weight == input);
      } else {
        sum += weight_of<WeightKind, WeightLo, WeightHi>(weight) * value_of<InKind>(input);
      }
      accumulator[pe] = sum;
      sums.range(pe * AccBits + AccBits - 1, pe * AccBits) = sum;
    }
    const bool last = tap == Columns - 1;
    if (last) {
      out.write(sums);
    }
    tap = last ? 0 : tap + 1;
    address = address == Words - 1 ? 0 : address + 1;
  }
}
