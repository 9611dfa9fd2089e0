#pragma once
// Exact weighted sum of one or two streams, channel by channel.
//
// Reference    flow/ops/add.py, bit-exact, the accumulator's wrap-around included
// Throughput   1 word per cycle; `words` of them are one vector
// Stall        a word is read from both streams or from neither
//
// Lane l of a word of constants has multiplier 0, multiplier 1 if there is a second stream, and the
// offset, from the low bits up, all in two's complement.

#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"

// One element times its multiplier, the one at place first of the stored constants; wraps.
template <int Kind, int MultiplierBits, int AccBits, int Bits, int LaneBits>
ap_uint<AccBits> term(const ap_uint<Bits>& code, const ap_uint<LaneBits>& stored, int first) {
#pragma HLS INLINE
  const ap_uint<MultiplierBits> multiplier = stored.range(first + MultiplierBits - 1, first);
  return ap_uint<AccBits>(value_of<Kind>(code) * value_of<SignedKind>(multiplier));
}

template <int Inputs, int Channels, int Lanes, int InBits0, int InKind0, int InBits1, int InKind1,
          int MultiplierBits, int OffsetBits, int AccBits>
void add(hls::stream<ap_uint<Lanes * InBits0>>& in0, hls::stream<ap_uint<Lanes * InBits1>>& in1,
         hls::stream<ap_uint<Lanes * AccBits>>& out,
         const ap_uint<Lanes * (Inputs * MultiplierBits + OffsetBits)> (
             &constants)[Channels / Lanes],
         int words, int vectors) {
  static_assert(0 < Lanes && Channels % Lanes == 0, "Lanes must divide Channels");
  static_assert(Inputs == 1 || Inputs == 2, "Inputs is 1 or 2");
  constexpr int Folds = Channels / Lanes;
  constexpr int LaneBits = Inputs * MultiplierBits + OffsetBits;

  int fold = 0;
beats:
  for (long long beat = 0; beat < static_cast<long long>(vectors) * words; ++beat) {
#pragma HLS PIPELINE II=1
    const ap_uint<Lanes * InBits0> x0 = in0.read();
    ap_uint<Lanes * InBits1> x1 = 0;
    if constexpr (Inputs == 2) {
      x1 = in1.read();
    }
    const ap_uint<Lanes * LaneBits> word = constants[fold];
    ap_uint<Lanes * AccBits> sums = 0;
    for (int lane = 0; lane < Lanes; ++lane) {
#pragma HLS UNROLL
      const ap_uint<LaneBits> stored = lane_of<LaneBits>(word, lane);
      const ap_uint<OffsetBits> offset = stored.range(LaneBits - 1, LaneBits - OffsetBits);
      ap_uint<AccBits> sum = value_of<SignedKind>(offset);
      sum += term<InKind0, MultiplierBits, AccBits>(lane_of<InBits0>(x0, lane), stored, 0);
      if constexpr (Inputs == 2) {
        sum += term<InKind1, MultiplierBits, AccBits>(lane_of<InBits1>(x1, lane), stored,
                                                      MultiplierBits);
      }
      sums.range(lane * AccBits + AccBits - 1, lane * AccBits) = sum;
    }
    out.write(sums);
    fold = (fold == Folds - 1) ? 0 : fold + 1;
  }
}
