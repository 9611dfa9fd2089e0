#pragma once
// Multi-threshold activation: level = Base + number of thresholds reached, or counted downwards
// from Base + Steps where the channel's stored sign bit is 0.
//
// Reference    flow/ops/threshold.py, compare form count, bit-exact for thresholds in any order
// Throughput   1 beat per cycle, Channels / Lanes beats per vector

#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"
#include "parity.hpp"

template <int Channels, int Lanes, int AccBits, int AccSigned, int ThresholdBits,
          int ThresholdSigned, int Steps, int Base, int OutBits, int SignsStored,
          int Parity = 0>
void threshold(hls::stream<ap_uint<Lanes * AccBits>>& in,
               hls::stream<ap_uint<Lanes * OutBits>>& out,
               const ap_uint<Lanes * (Steps * ThresholdBits + SignsStored) + Parity> (
                   &thresholds)[Channels / Lanes],
               ap_uint<1>& detected, int vectors) {
  static_assert(0 < Lanes && Channels % Lanes == 0, "Lanes must divide Channels");
  static_assert(0 < Steps, "a threshold unit has at least one step");
  static_assert(AccSigned == 0 || AccSigned == 1, "AccSigned is 0 or 1");
  static_assert(ThresholdSigned == 0 || ThresholdSigned == 1, "ThresholdSigned is 0 or 1");
  static_assert(SignsStored == 0 || SignsStored == 1, "SignsStored is 0 or 1");
  constexpr int Folds = Channels / Lanes;
  constexpr int LaneBits = Steps * ThresholdBits + SignsStored;
  constexpr int CompareBits = larger(AccBits, ThresholdBits) + 1;

  int fold = 0;
beats:
  for (long long beat = 0; beat < static_cast<long long>(vectors) * Folds; ++beat) {
#pragma HLS PIPELINE II=1
    const ap_uint<Lanes * AccBits> accumulators = in.read();
    const ap_uint<Lanes * LaneBits> word = checked<Parity>(thresholds[fold], detected);
    ap_uint<Lanes * OutBits> levels = 0;
    for (int lane = 0; lane < Lanes; ++lane) {
#pragma HLS UNROLL
      const ap_int<CompareBits> accumulator =
          value_of<AccSigned>(lane_of<AccBits>(accumulators, lane));
      const ap_uint<LaneBits> stored = lane_of<LaneBits>(word, lane);
      ap_uint<index_bits(Steps + 1)> reached = 0;
      for (int step = 0; step < Steps; ++step) {
#pragma HLS UNROLL
        const ap_uint<ThresholdBits> code =
            stored.range(step * ThresholdBits + ThresholdBits - 1, step * ThresholdBits);
        const ap_int<CompareBits> bound = value_of<ThresholdSigned>(code);
        reached += ap_uint<1>(accumulator >= bound);
      }
      const bool ascending = SignsStored == 0 || stored[LaneBits - 1];
      const int level = Base + (ascending ? reached.to_int() : Steps - reached.to_int());
      levels.range(lane * OutBits + OutBits - 1, lane * OutBits) = ap_uint<OutBits>(level);
    }
    out.write(levels);
    fold = (fold == Folds - 1) ? 0 : fold + 1;
  }
}
