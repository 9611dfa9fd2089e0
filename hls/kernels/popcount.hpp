#pragma once
// Count of ones.
//
// Reference    int.bit_count of Python, bit-exact
// Throughput   combinational; the adder tree is the compiler's

#include "ap_int.h"
#include "lanes.hpp"

template <int Bits>
ap_uint<index_bits(Bits + 1)> popcount(const ap_uint<Bits>& word) {
#pragma HLS INLINE
  ap_uint<index_bits(Bits + 1)> ones = 0;
  for (int bit = 0; bit < Bits; ++bit) {
#pragma HLS UNROLL
    ones += ap_uint<1>(word[bit]);
  }
  return ones;
}
