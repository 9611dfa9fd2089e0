#pragma once
// Elements side by side in one stream or memory word, lane 0 in the low bits, and what codes mean.

#include "ap_int.h"

// How a code is read: the InKind and WeightKind parameters of a kernel and of its RTL twin.
constexpr int UnsignedKind = 0;
constexpr int SignedKind = 1;   // two's complement
constexpr int BipolarKind = 2;  // one bit: 0 is -1, 1 is +1

constexpr int larger(int a, int b) { return a > b ? a : b; }

// Bits of an index below count, at least 1.
constexpr int index_bits(int count) {
  int bits = 1;
  for (int reach = 2; reach < count; reach *= 2) ++bits;
  return bits;
}

// Vectors in images of Each vectors; the product stays below 2^31.
template <int Each>
constexpr int parts(int images) {
  return images * Each;
}

// Bits of the element at place lane.
template <int Bits, int WordBits>
ap_uint<Bits> lane_of(const ap_uint<WordBits>& word, int lane) {
#pragma HLS INLINE
  static_assert(WordBits % Bits == 0, "a word holds whole lanes");
  return word.range(lane * Bits + Bits - 1, lane * Bits);
}

// word moved down by one lane, with lane as its new highest: after a whole word of lanes, the first
// lane is in the low bits. A shift register, where indexing would be a multiplexer.
template <int Bits, int WordBits>
ap_uint<WordBits> shift_in(const ap_uint<WordBits>& word, const ap_uint<Bits>& lane) {
#pragma HLS INLINE
  static_assert(WordBits % Bits == 0, "a word holds whole lanes");
  ap_uint<WordBits> moved = word;
  if constexpr (WordBits > Bits) {
    moved = word >> Bits;
  }
  moved.range(WordBits - 1, WordBits - Bits) = lane;
  return moved;
}

// The number a code means, in a signed type that holds any of them.
template <int Kind, int Bits>
ap_int<Bits + 1> value_of(const ap_uint<Bits>& code) {
#pragma HLS INLINE
  static_assert(UnsignedKind <= Kind && Kind <= BipolarKind, "Kind is 0, 1 or 2");
  static_assert(Kind != BipolarKind || Bits == 1, "a bipolar code has one bit");
  if constexpr (Kind == BipolarKind) {
    return code == 1 ? 1 : -1;
  } else if constexpr (Kind == SignedKind) {
    return ap_int<Bits>(code);
  } else {
    return code;
  }
}

// The number a weight's code is read as: a signed one is limited to Lo .. Hi.
template <int Kind, int Lo, int Hi, int Bits>
ap_int<Bits + 1> weight_of(const ap_uint<Bits>& code) {
#pragma HLS INLINE
  const ap_int<Bits + 1> value = value_of<Kind>(code);
  if constexpr (Kind == SignedKind) {
    return value < Lo ? ap_int<Bits + 1>(Lo) : value > Hi ? ap_int<Bits + 1>(Hi) : value;
  } else {
    return value;
  }
}
