#pragma once
// Integer matrix-vector product, or the count of agreeing bits when both sides are bipolar.
//
// Reference    flow/ops/matvec.py, bit-exact, wrap-around of the accumulator included
// Throughput   Pe x Simd products per cycle, (Rows / Pe) * (Columns / Simd) cycles per vector
// Stall        input is read in the first row fold only and replayed from a buffer in the others

#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"
#include "parity.hpp"
#include "popcount.hpp"

template <int Rows, int Columns, int Pe, int Simd, int InBits, int InKind, int WeightBits,
          int WeightKind, int AccBits, int Popcount, int Groups = 1,
          int WeightLo = -(1 << (WeightBits - 1)), int WeightHi = (1 << (WeightBits - 1)) - 1,
          int Parity = 0>
void matvec(hls::stream<ap_uint<Simd * InBits>>& in, hls::stream<ap_uint<Pe * AccBits>>& out,
            const ap_uint<Pe * Simd * WeightBits + Parity> (
                &weights)[(Rows / Pe) * (Columns / Simd)],
            ap_uint<1>& detected, int vectors) {
  static_assert(0 < Pe && Rows % Pe == 0, "Pe must divide Rows");
  static_assert(0 < Groups && Rows / Pe % Groups == 0, "Groups must divide Rows / Pe");
  static_assert(0 < Simd && Columns % Simd == 0, "Simd must divide Columns");
  static_assert(0 < AccBits && AccBits <= 63, "an accumulator has 1 to 63 bits");
  static_assert(WeightKind == SignedKind || WeightKind == BipolarKind, "WeightKind is 1 or 2");
  static_assert(Popcount == 0 || (InKind == BipolarKind && WeightKind == BipolarKind),
                "Popcount counts agreeing bits: inputs and weights must be bipolar");
  constexpr int ColumnFolds = Columns / Simd;
  constexpr int RowFolds = Rows / Pe / Groups;  // of a group, which sees a part of the input
  constexpr int Cycles = Groups * RowFolds * ColumnFolds;

  ap_uint<Simd * InBits> replay[ColumnFolds];
  ap_uint<AccBits> accumulator[Pe];
#pragma HLS ARRAY_PARTITION variable=accumulator complete
  int column_fold = 0;
  int row_fold = 0;
  int address = 0;
cycles:
  for (long long cycle = 0; cycle < static_cast<long long>(vectors) * Cycles; ++cycle) {
#pragma HLS PIPELINE II=1
    const ap_uint<Simd * InBits> inputs = (row_fold == 0) ? in.read() : replay[column_fold];
    replay[column_fold] = inputs;
    const ap_uint<Pe * Simd * WeightBits> word = checked<Parity>(weights[address], detected);
    ap_uint<Pe * AccBits> sums = 0;
    for (int pe = 0; pe < Pe; ++pe) {
#pragma HLS UNROLL
      const ap_uint<Simd * WeightBits> row = lane_of<Simd * WeightBits>(word, pe);
      ap_uint<AccBits> sum = (column_fold == 0) ? ap_uint<AccBits>(0) : accumulator[pe];
      if constexpr (Popcount == 1) {
        sum += popcount<Simd>(~(row ^ inputs));
      } else {
        for (int lane = 0; lane < Simd; ++lane) {
#pragma HLS UNROLL
          sum += weight_of<WeightKind, WeightLo, WeightHi>(lane_of<WeightBits>(row, lane)) *
                 value_of<InKind>(lane_of<InBits>(inputs, lane));
        }
      }
      accumulator[pe] = sum;
      sums.range(pe * AccBits + AccBits - 1, pe * AccBits) = sum;
    }

    const bool row_done = column_fold == ColumnFolds - 1;
    const bool group_done = row_done && row_fold == RowFolds - 1;
    if (row_done) {
      out.write(sums);
    }
    column_fold = row_done ? 0 : column_fold + 1;
    row_fold = group_done ? 0 : row_done ? row_fold + 1 : row_fold;
    address = address == Cycles - 1 ? 0 : address + 1;
  }
}
