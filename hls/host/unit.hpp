#pragma once
// Run one kernel instance on words from standard input; its sizes are deduced from the kernel.
//
// In: the memory's words if it has one, the number of input words, the words. Out: the output
// words and an empty line. All in hexadecimal, one a line.

#include <iostream>
#include <stdexcept>
#include <string>

#include "ap_int.h"
#include "hls_stream.h"

template <int Bits>
ap_uint<Bits> next_word() {
  std::string text;
  if (!(std::cin >> text)) throw std::runtime_error("the input ends early");
  return ap_uint<Bits>(text.c_str(), 16);
}

template <int InBits, int OutBits, typename Kernel>
void run_streams(Kernel kernel) {
  hls::stream<ap_uint<InBits>> in("in");
  hls::stream<ap_uint<OutBits>> out("out");
  for (int left = next_word<31>().to_int(); left > 0; --left) in.write(next_word<InBits>());
  kernel(in, out);
  if (!in.empty()) throw std::runtime_error("the kernel left input words unread");
  while (!out.empty()) std::cout << out.read().to_string(16) << '\n';
  std::cout << '\n';  // an empty line ends one run
}

template <int InBits, int OutBits, int WordBits, int Words>
void run_unit(void (*kernel)(hls::stream<ap_uint<InBits>>&, hls::stream<ap_uint<OutBits>>&,
                             const ap_uint<WordBits> (&)[Words], int),
              int vectors) {
  static ap_uint<WordBits> memory[Words];
  for (auto& word : memory) word = next_word<WordBits>();
  run_streams<InBits, OutBits>([=](auto& in, auto& out) { kernel(in, out, memory, vectors); });
}

template <int InBits, int OutBits, typename... Sizes>
void run_unit(void (*kernel)(hls::stream<ap_uint<InBits>>&, hls::stream<ap_uint<OutBits>>&,
                             Sizes...),
              Sizes... sizes) {
  run_streams<InBits, OutBits>([=](auto& in, auto& out) { kernel(in, out, sizes...); });
}

// The body of main: run every unit, and end with a message instead of an abort.
template <typename Runs>
int run_all(Runs runs) {
  try {
    runs();
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
