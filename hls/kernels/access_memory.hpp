#pragma once
// One access to 32 bits of a stored word, between images: the configuration port.
//
// Reference    docs/amd.md
// Throughput   one access per call
//
// A memory of another number, and a place that this one does not have, leave everything as it is.
// So does a write where the words are constants (memory style rom), which answers like a read.
// With Parity = 1 a word read is checked, and a write forgets what was detected in the memory. What
// is written brings its own parity.

#include "ap_int.h"
#include "parity.hpp"

constexpr int NoAccess = 0;
constexpr int WriteAccess = 1;
constexpr int ReadAccess = 2;

// Part 0 are the lowest bits. The answer is what stood there before the access.
template <int Index, int Parity, int Bits, int Words>
void access_memory(int access, int memory, int address, int part, const ap_uint<32>& value,
                   ap_uint<32>& answer, ap_uint<Bits> (&words)[Words], ap_uint<1>& detected) {
  constexpr int Parts = (Bits + 31) / 32;
  const bool here = memory == Index && 0 <= address && address < Words && 0 <= part && part < Parts;
  if (here && access != NoAccess) {
    const ap_uint<Bits> stored = words[address];
    ap_uint<32 * Parts> word = stored;
    answer = word.range(32 * part + 31, 32 * part);
    if (access == WriteAccess) {
      word.range(32 * part + 31, 32 * part) = value;
      words[address] = ap_uint<Bits>(word);
      detected = 0;
    } else {
      checked<Parity>(stored, detected);
    }
  }
}

template <int Index, int Parity, int Bits, int Words>
void access_memory(int access, int memory, int address, int part, const ap_uint<32>& value,
                   ap_uint<32>& answer, const ap_uint<Bits> (&words)[Words], ap_uint<1>& detected) {
  static_assert(Parity == 0, "constants have no parity");
  constexpr int Parts = (Bits + 31) / 32;
  const bool here = memory == Index && 0 <= address && address < Words && 0 <= part && part < Parts;
  static_cast<void>(value);
  static_cast<void>(detected);
  if (here && access != NoAccess) {
    const ap_uint<32 * Parts> word = words[address];
    answer = word.range(32 * part + 31, 32 * part);
  }
}
