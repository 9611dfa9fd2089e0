#pragma once
// Run one kernel instance on words from standard input; its sizes are deduced from the kernel.
//
// In: the memory's words if it has one, of each input stream the number of words and the words. Out:
// the output words, stream by stream, and an empty line. All in hexadecimal, one a line.

#include <iostream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>

#include "ap_int.h"
#include "hls_stream.h"

template <int Bits>
ap_uint<Bits> next_word() {
  std::string text;
  if (!(std::cin >> text)) throw std::runtime_error("the input ends early");
  return ap_uint<Bits>(text.c_str(), 16);
}

template <int Bits>
using Stream = hls::stream<ap_uint<Bits>>;

template <int Bits>
void fill(Stream<Bits>& in) {
  for (int left = next_word<31>().to_int(); left > 0; --left) in.write(next_word<Bits>());
}

template <int Bits>
void drain(Stream<Bits>& out) {
  while (!out.empty()) std::cout << out.read().to_string(16) << '\n';
}

template <int Bits>
void expect_read(Stream<Bits>& in) {
  if (!in.empty()) throw std::runtime_error("the kernel left input words unread");
}

inline void expect_whole(const ap_uint<1>& detected) {
  if (detected == 1) throw std::runtime_error("a stored word is damaged");
}

template <int InBits, int OutBits, typename Kernel>
void run_streams(Kernel kernel) {
  Stream<InBits> in("in");
  Stream<OutBits> out("out");
  fill(in);
  kernel(in, out);
  expect_read(in);
  drain(out);
  std::cout << '\n';  // an empty line ends one run
}

template <int Bits0, int Bits1, int OutBits, typename Kernel>
void run_joined(Kernel kernel) {
  Stream<Bits0> in0("in0");
  Stream<Bits1> in1("in1");
  Stream<OutBits> out("out");
  fill(in0);
  fill(in1);
  kernel(in0, in1, out);
  expect_read(in0);
  expect_read(in1);
  drain(out);
  std::cout << '\n';
}

// Two streams and a memory, as add has them.
template <int Bits0, int Bits1, int OutBits, int WordBits, int Words>
void run_unit(void (*kernel)(Stream<Bits0>&, Stream<Bits1>&, Stream<OutBits>&,
                             const ap_uint<WordBits> (&)[Words], int, int),
              int words, int vectors) {
  static ap_uint<WordBits> memory[Words];
  for (auto& word : memory) word = next_word<WordBits>();
  run_joined<Bits0, Bits1, OutBits>(
      [=](auto& in0, auto& in1, auto& out) { kernel(in0, in1, out, memory, words, vectors); });
}

template <int Bits0, int Bits1, int OutBits>
void run_unit(void (*kernel)(Stream<Bits0>&, Stream<Bits1>&, Stream<OutBits>&, int, int),
              int words, int vectors) {
  run_joined<Bits0, Bits1, OutBits>(
      [=](auto& in0, auto& in1, auto& out) { kernel(in0, in1, out, words, vectors); });
}

// A kernel of one stream in and any number of them out, which come last.
template <int InBits, int... OutBits, typename Kernel>
void run_fork(Kernel kernel, int words, int vectors) {
  Stream<InBits> in("in");
  std::tuple<Stream<OutBits>...> outs;
  fill(in);
  std::apply([&](auto&... out) { kernel(in, words, vectors, out...); }, outs);
  expect_read(in);
  std::apply([](auto&... out) { (drain(out), ...); }, outs);
  std::cout << '\n';
}

// The words of one stage of a search: Words of them for each lane.
template <int Bits, int Lanes, int Words>
struct Table {
  static constexpr int lanes = Lanes;
  ap_uint<Bits> words[Lanes][Words];
};

// A kernel whose tables come last, one for each stage.
template <int InBits, int OutBits, typename... Tables, typename Kernel>
void run_search(Kernel kernel, int vectors) {
  static std::tuple<Tables...> tables;
  const auto load = [](auto& table) {
    for (auto& lane : table.words) {
      for (auto& word : lane) word = next_word<std::decay_t<decltype(word)>::width>();
    }
  };
  std::apply([&](auto&... table) { (load(table), ...); }, tables);
  constexpr int lanes = std::tuple_element_t<0, std::tuple<Tables...>>::lanes;
  ap_uint<1> detected[sizeof...(Tables)][lanes] = {};
  run_streams<InBits, OutBits>([&](auto& in, auto& out) {
    std::apply([&](const auto&... table) { kernel(in, out, vectors, detected, table.words...); },
               tables);
  });
  for (const auto& stage : detected) {
    for (const auto& lane : stage) expect_whole(lane);
  }
}

// A kernel with stored words, which reports those of wrong parity.
template <int InBits, int OutBits, int WordBits, int Words>
void run_unit(void (*kernel)(hls::stream<ap_uint<InBits>>&, hls::stream<ap_uint<OutBits>>&,
                             const ap_uint<WordBits> (&)[Words], ap_uint<1>&, int),
              int vectors) {
  static ap_uint<WordBits> memory[Words];
  for (auto& word : memory) word = next_word<WordBits>();
  ap_uint<1> detected = 0;
  run_streams<InBits, OutBits>(
      [&](auto& in, auto& out) { kernel(in, out, memory, detected, vectors); });
  expect_whole(detected);
}

// A memory, and the words of one vector besides their number.
template <int InBits, int OutBits, int WordBits, int Words>
void run_unit(void (*kernel)(hls::stream<ap_uint<InBits>>&, hls::stream<ap_uint<OutBits>>&,
                             const ap_uint<WordBits> (&)[Words], int, int),
              int words, int vectors) {
  static ap_uint<WordBits> memory[Words];
  for (auto& word : memory) word = next_word<WordBits>();
  run_streams<InBits, OutBits>([=](auto& in, auto& out) { kernel(in, out, memory, words, vectors); });
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
