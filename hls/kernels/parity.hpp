#pragma once
// A stored word as a kernel reads it, and what a call says of damaged ones.
//
// Reference    memory.sv: with Parity = 1 the highest bit of a word makes its ones even
//
// One flip in a word is always found, two never. A flag stays until access_memory writes the memory.

#include "ap_int.h"

// The word without its parity, which is checked.
template <int Parity, int Bits>
ap_uint<Bits - Parity> checked(const ap_uint<Bits>& stored, ap_uint<1>& detected) {
#pragma HLS INLINE
  static_assert(Parity == 0 || Parity == 1, "Parity is 0 or 1");
  if constexpr (Parity == 1) {
    detected |= ap_uint<1>(stored.xor_reduce());
  }
  return stored;
}

// Bit 0 of told: some memory has given a damaged word; bit 1: the one of number memory has.
template <int Index>
void report_memory(int memory, const ap_uint<1>& detected, ap_uint<32>& told) {
  if (detected == 1) {
    told[0] = 1;
    told[1] = (memory == Index) ? ap_uint<1>(1) : ap_uint<1>(told[1]);
  }
}
