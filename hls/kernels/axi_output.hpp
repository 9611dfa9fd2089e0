#pragma once
// Results to AXI4-Stream: class and logits as little-endian integers, TLAST behind the last one.
//
// Reference    docs/amd.md; the word layout of axi_output.sv
// Throughput   1 bus word per cycle, ceil((1 + Classes) * ElementBytes / Bytes) of them per result

#include "ap_axi_sdata.h"
#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"

template <int Classes, int ClassBits, int LogitBits, int LogitSigned, int Bytes, int ElementBytes>
void axi_output(hls::stream<ap_uint<ClassBits + Classes * LogitBits>>& in,
                hls::stream<ap_axiu<8 * Bytes, 0, 0, 0>>& out, int vectors) {
  static_assert(LogitBits <= 8 * ElementBytes, "a logit must fit its element");
  static_assert(ClassBits <= 8 * ElementBytes, "a class must fit its element");
  constexpr int Element = 8 * ElementBytes;
  constexpr int Words = ((1 + Classes) * ElementBytes + Bytes - 1) / Bytes;

  ap_uint<8 * Bytes * Words> result = 0;
  int part = 0;
  int left = vectors;
words:
  for (long long step = 0; step < static_cast<long long>(vectors) * Words; ++step) {
#pragma HLS PIPELINE II=1
    if (part == 0) {
      const ap_uint<ClassBits + Classes * LogitBits> answer = in.read();
      const ap_uint<ClassBits> label =
          answer.range(ClassBits + Classes * LogitBits - 1, Classes * LogitBits);
      const ap_uint<Classes * LogitBits> logits = answer;
      result = label;
      for (int c = 0; c < Classes; ++c) {
#pragma HLS UNROLL
        const ap_uint<Element> logit = value_of<LogitSigned>(lane_of<LogitBits>(logits, c));
        result.range((c + 2) * Element - 1, (c + 1) * Element) = logit;
      }
    }
    const bool last = part == Words - 1;
    ap_axiu<8 * Bytes, 0, 0, 0> word;
    word.data = result.range(8 * Bytes - 1, 0);
    word.keep = -1;
    word.strb = -1;
    word.last = ap_uint<1>(last && left == 1);
    out.write(word);
    if constexpr (Words > 1) {
      result >>= 8 * Bytes;
    }
    part = last ? 0 : part + 1;
    left = last ? left - 1 : left;
  }
}
