#pragma once
// Largest value of each window, per channel.
//
// Reference    flow/ops/pool.py, MaxPool, bit-exact
// Throughput   windows apart: Height * Width * Channels / Lanes cycles per frame; else as window.hpp

#include "ap_int.h"
#include "hls_stream.h"
#include "pool.hpp"

template <int Height, int Width, int Channels, int Lanes, int InBits, int InKind, int KernelH,
          int KernelW, int StrideH, int StrideW, int DilationH, int DilationW>
void maxpool(hls::stream<ap_uint<Lanes * InBits>>& in, hls::stream<ap_uint<Lanes * InBits>>& out,
             int vectors) {
  pool<Height, Width, Channels, Lanes, InBits, InKind, InBits, 0, KernelH, KernelW, StrideH,
       StrideW, DilationH, DilationW>(in, out, vectors);
}
