#pragma once
// Index of the largest logit, the smallest index on a tie, beside all logits of the vector:
// {class, logits}, class 0's logit in the low bits.
//
// Reference    flow/ops/argmax.py, bit-exact
// Throughput   1 beat per cycle, Classes / Lanes beats per vector

#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"

template <int Classes, int Lanes, int LogitBits, int LogitSigned>
void argmax(hls::stream<ap_uint<Lanes * LogitBits>>& in,
            hls::stream<ap_uint<index_bits(Classes) + Classes * LogitBits>>& out, int vectors) {
  static_assert(0 < Lanes && Classes % Lanes == 0, "Lanes must divide Classes");
  static_assert(LogitSigned == 0 || LogitSigned == 1, "LogitSigned is 0 or 1");
  constexpr int ClassBits = index_bits(Classes);
  constexpr int Folds = Classes / Lanes;

  ap_uint<Classes * LogitBits> logits = 0;
  ap_int<LogitBits + 1> best = 0;
  ap_uint<ClassBits> best_class = 0;
  int fold = 0;
beats:
  for (long long beat = 0; beat < static_cast<long long>(vectors) * Folds; ++beat) {
#pragma HLS PIPELINE II=1
    const ap_uint<Lanes * LogitBits> word = in.read();
    logits = shift_in<Lanes * LogitBits>(logits, word);
    for (int lane = 0; lane < Lanes; ++lane) {
#pragma HLS UNROLL
      const ap_int<LogitBits + 1> logit = value_of<LogitSigned>(lane_of<LogitBits>(word, lane));
      const bool first = fold == 0 && lane == 0;
      if (first || logit > best) {
        best = logit;
        best_class = fold * Lanes + lane;
      }
    }
    if (fold == Folds - 1) {
      ap_uint<ClassBits + Classes * LogitBits> result = logits;
      result.range(ClassBits + Classes * LogitBits - 1, Classes * LogitBits) = best_class;
      out.write(result);
    }
    fold = (fold == Folds - 1) ? 0 : fold + 1;
  }
}
