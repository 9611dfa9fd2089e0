#pragma once
// Rounded Gaussian noise on every element of a stream, clipped to Low .. High.
//
// Reference    flow/certify/noise.py (LaneNoise), bit-exact for the same seed
// Throughput   1 word per cycle; `words` of them are one vector
//
// constants: Steps levels, ascending, then the state of every lane's generator, lane 0 first, four
// words each, the oldest first. The generators start from it at every call.

#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"

// The next state of a xorshift generator of 128 bits, its newest word on top.
inline ap_uint<128> stepped(const ap_uint<128>& state) {
#pragma HLS INLINE
  const ap_uint<32> oldest = state.range(31, 0);
  const ap_uint<32> newest = state.range(127, 96);
  const ap_uint<32> mixed = oldest ^ ap_uint<32>(oldest << 11);
  ap_uint<128> next = state >> 32;
  next.range(127, 96) = newest ^ (newest >> 19) ^ mixed ^ (mixed >> 8);
  return next;
}

template <int Lanes, int InBits, int InKind, int Low, int High, int Steps>
void noise(hls::stream<ap_uint<Lanes * InBits>>& in, hls::stream<ap_uint<Lanes * InBits>>& out,
           const ap_uint<32> (&constants)[Steps + 4 * Lanes], int words, int vectors) {
  static_assert(0 < Lanes && 0 < Steps, "Lanes and Steps are positive");
  static_assert(InBits <= 30, "InBits is at most 30");
  static_assert(InKind == UnsignedKind || InKind == SignedKind, "InKind is 0 or 1");

  ap_uint<128> state[Lanes];
#pragma HLS ARRAY_PARTITION variable=state complete
  bool seeded = false;
beats:
  for (long long beat = 0; beat < static_cast<long long>(vectors) * words; ++beat) {
#pragma HLS PIPELINE II=1
    const ap_uint<Lanes * InBits> word = in.read();
    ap_uint<Lanes * InBits> noisy = 0;
    for (int lane = 0; lane < Lanes; ++lane) {
#pragma HLS UNROLL
      ap_uint<128> before = state[lane];
      if (!seeded) {
        before.range(31, 0) = constants[Steps + 4 * lane];
        before.range(63, 32) = constants[Steps + 4 * lane + 1];
        before.range(95, 64) = constants[Steps + 4 * lane + 2];
        before.range(127, 96) = constants[Steps + 4 * lane + 3];
      }
      const ap_uint<128> after = stepped(before);
      state[lane] = after;
      const ap_uint<32> uniform = after.range(127, 96);
      const ap_uint<31> low = uniform.range(30, 0);
      ap_int<32> size = 0;
      for (int level = 0; level < Steps; ++level) {
#pragma HLS UNROLL
        size += ap_uint<1>(low >= constants[level]);
      }
      const ap_int<33> value = value_of<InKind>(lane_of<InBits>(word, lane));
      const ap_int<34> sum = uniform[31] == 1 ? ap_int<34>(value - size) : ap_int<34>(value + size);
      const ap_int<34> least = sum < Low ? ap_int<34>(Low) : sum;
      const ap_int<34> clipped = least > High ? ap_int<34>(High) : least;
      noisy.range(lane * InBits + InBits - 1, lane * InBits) = clipped;
    }
    seeded = true;
    out.write(noisy);
  }
}
