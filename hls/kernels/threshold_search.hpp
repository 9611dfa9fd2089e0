#pragma once
// Multi-threshold activation by binary search, for many levels.
//
// Reference    flow/ops/threshold.py, compare form search, bit-exact for thresholds in any order
// Throughput   1 beat per cycle, Channels / Lanes beats per vector
//
// One table for each stage, as in threshold_search.sv: `first` and, of each later stage s, [lane][fold
// * 2^s + j], where j are the bits already decided. Stage 0 keeps the sign bit above its threshold.
// Lanes read different words of a table, so it is to be partitioned by lane (dim=1). `detected` has
// a flag for each lane of each stage.

#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"
#include "parity.hpp"

// The bits decided after this stage and those that follow it.
template <int Stage, int ThresholdBits, int ThresholdSigned, int Steps, int Parity, int CompareBits,
          int Bits, int Lanes, int Words, typename... Slices>
ap_uint<index_bits(Steps + 1)> probe(ap_int<CompareBits> accumulator, int lane, int fold,
                                     ap_uint<index_bits(Steps + 1)> decided,
                                     ap_uint<1> (&detected)[index_bits(Steps + 1)][Lanes],
                                     const ap_uint<Bits> (&slice)[Lanes][Words],
                                     const Slices&... slices) {
#pragma HLS INLINE
  constexpr int Bit = index_bits(Steps + 1) - 1 - Stage;
  constexpr int Probed = (Steps + (1 << Bit)) >> (Bit + 1);  // slots whose threshold exists
  const ap_uint<ThresholdBits> code = checked<Parity>(
      slice[lane][(fold << Stage) + decided.to_int()], detected[Stage][lane]);
  const ap_int<CompareBits> bound = value_of<ThresholdSigned>(code);
  const bool reached = decided.to_int() < Probed && accumulator >= bound;
  const ap_uint<index_bits(Steps + 1)> next = (decided << 1) | ap_uint<1>(reached);
  if constexpr (sizeof...(slices) == 0) {
    return next;
  } else {
    return probe<Stage + 1, ThresholdBits, ThresholdSigned, Steps, Parity>(
        accumulator, lane, fold, next, detected, slices...);
  }
}

template <int Channels, int Lanes, int AccBits, int AccSigned, int ThresholdBits,
          int ThresholdSigned, int Steps, int Base, int OutBits, int SignsStored,
          int Parity = 0, typename... Slices>
void threshold_search(hls::stream<ap_uint<Lanes * AccBits>>& in,
                      hls::stream<ap_uint<Lanes * OutBits>>& out, int vectors,
                      ap_uint<1> (&detected)[index_bits(Steps + 1)][Lanes],
                      const ap_uint<ThresholdBits + SignsStored + Parity> (
                          &first)[Lanes][Channels / Lanes],
                      const Slices&... slices) {
  static_assert(0 < Lanes && Channels % Lanes == 0, "Lanes must divide Channels");
  static_assert(0 < Steps, "a threshold unit has at least one step");
  static_assert(AccSigned == 0 || AccSigned == 1, "AccSigned is 0 or 1");
  static_assert(ThresholdSigned == 0 || ThresholdSigned == 1, "ThresholdSigned is 0 or 1");
  static_assert(SignsStored == 0 || SignsStored == 1, "SignsStored is 0 or 1");
  static_assert(1 + sizeof...(slices) == index_bits(Steps + 1), "a table per stage");
  constexpr int Folds = Channels / Lanes;
  constexpr int CompareBits = larger(AccBits, ThresholdBits) + 1;

  int fold = 0;
beats:
  for (long long beat = 0; beat < static_cast<long long>(vectors) * Folds; ++beat) {
#pragma HLS PIPELINE II=1
    const ap_uint<Lanes * AccBits> accumulators = in.read();
    ap_uint<Lanes * OutBits> levels = 0;
    for (int lane = 0; lane < Lanes; ++lane) {
#pragma HLS UNROLL
      const ap_int<CompareBits> accumulator =
          value_of<AccSigned>(lane_of<AccBits>(accumulators, lane));
      const int reached = probe<0, ThresholdBits, ThresholdSigned, Steps, Parity>(
                              accumulator, lane, fold, ap_uint<index_bits(Steps + 1)>(0), detected,
                              first, slices...)
                              .to_int();
      const bool ascending = SignsStored == 0 || first[lane][fold][ThresholdBits + SignsStored - 1];
      const int level = Base + (ascending ? reached : Steps - reached);
      levels.range(lane * OutBits + OutBits - 1, lane * OutBits) = ap_uint<OutBits>(level);
    }
    out.write(levels);
    fold = (fold == Folds - 1) ? 0 : fold + 1;
  }
}
