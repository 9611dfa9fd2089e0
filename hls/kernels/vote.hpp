#pragma once
// Class counters: one result per Votes words of an argmax, {winner, counts}, class 0's count in the
// low bits; the smallest class wins a tie.
//
// Reference    numpy.bincount of the classes, and its argmax
// Throughput   1 vote per cycle, Votes votes per result

#include "ap_int.h"
#include "hls_stream.h"
#include "lanes.hpp"

// Bits of a count up to Votes.
constexpr int count_bits(int votes) { return index_bits(votes + 1); }

template <int Classes, int InBits, int Votes>
void vote(hls::stream<ap_uint<InBits>>& in,
          hls::stream<ap_uint<index_bits(Classes) + Classes * count_bits(Votes)>>& out,
          int vectors) {
  static_assert(0 < Classes && 0 < Votes, "Classes and Votes are positive");
  constexpr int ClassBits = index_bits(Classes);
  constexpr int CountBits = count_bits(Votes);
  constexpr int Span = Classes * CountBits;

  ap_uint<Span> counts = 0;
  ap_uint<CountBits> most = 0;
  ap_uint<ClassBits> best = 0;
  int voted = 0;
votes:
  for (long long word = 0; word < static_cast<long long>(vectors) * Votes; ++word) {
#pragma HLS PIPELINE II=1
    const ap_uint<ClassBits> chosen = in.read().range(InBits - 1, InBits - ClassBits);
    ap_uint<CountBits> own = 0;
    for (int c = 0; c < Classes; ++c) {
#pragma HLS UNROLL
      ap_uint<CountBits> count = voted == 0 ? ap_uint<CountBits>(0) : lane_of<CountBits>(counts, c);
      if (chosen == c) {
        count += 1;
        own = count;
      }
      counts.range(c * CountBits + CountBits - 1, c * CountBits) = count;
    }
    if (voted == 0 || own > most || (own == most && chosen < best)) {
      most = own;
      best = chosen;
    }
    const bool last = voted == Votes - 1;
    if (last) {
      ap_uint<ClassBits + Span> result = counts;
      result.range(ClassBits + Span - 1, Span) = best;
      out.write(result);
    }
    voted = last ? 0 : voted + 1;
  }
}
