#pragma once
// Exact sum of each window, per channel.
//
// Reference    flow/ops/pool.py, SumPool, bit-exact
// Throughput   windows apart: Height * Width * Channels / Lanes cycles per frame; else as window.hpp

#include "ap_int.h"
#include "hls_stream.h"
#include "pool.hpp"

template <int Height, int Width, int Channels, int Lanes, int InBits, int InKind, int AccBits,
          int KernelH, int KernelW, int StrideH, int StrideW>
void sumpool(hls::stream<ap_uint<Lanes * InBits>>& in, hls::stream<ap_uint<Lanes * AccBits>>& out,
             int vectors) {
  pool<Height, Width, Channels, Lanes, InBits, InKind, AccBits, 1, KernelH, KernelW, StrideH,
       StrideW, 1, 1>(in, out, vectors);
}
