#pragma once
// Fork: every word goes to all outputs, in the order of the outputs.
//
// Reference    the same words for every consumer, in the same order
// Throughput   1 word per cycle; `words` of them are one vector
// Stall        a word is written once every stream before it has room: a stream one word deeper
//              than the FIFO of its branch lets the others go on as eager_fork.sv does

#include "ap_int.h"
#include "hls_stream.h"

template <int Outputs, int Bits, typename... Streams>
void eager_fork(hls::stream<ap_uint<Bits>>& in, int words, int vectors, Streams&... out) {
  static_assert(0 < Outputs && sizeof...(out) == Outputs, "Outputs is the number of streams");
beats:
  for (long long beat = 0; beat < static_cast<long long>(vectors) * words; ++beat) {
#pragma HLS PIPELINE II=1
    const ap_uint<Bits> word = in.read();
    (out.write(word), ...);
  }
}
