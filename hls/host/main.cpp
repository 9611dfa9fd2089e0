// Run an accelerator on images from standard input.
//
// Usage: simulation threads|sequential IMAGES
// In: InputElements codes per image, 64-bit little-endian. Out, one line per image: the class and
// the logits; then one line `detected` with 1 or 0 for each memory, whether it has given a word of
// wrong parity. `threads` runs every process in a thread over streams of the planned depth;
// `sequential` calls the dataflow function itself, as the vendor's C simulation does.
// Exit status: 0 done, 2 bad usage or input, 3 deadlock (one line on standard error says where).

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>

#include "simulation.hpp"

using In = hls::stream<InputWord>;
using Out = hls::stream<OutputWord>;

// By stdio: std::cin is tied to std::cout and would flush what the sink's thread is writing.
static std::uint64_t next_code() {
  unsigned char bytes[8];
  if (std::fread(bytes, 1, sizeof bytes, stdin) != sizeof bytes) {
    throw std::runtime_error("the input ends early");
  }
  std::uint64_t code = 0;
  for (int i = 7; i >= 0; --i) code = code << 8 | bytes[i];
  return code;
}

static void source(In& in, int images) {
  for (int word = 0; word < images * (InputElements / InputLanes); ++word) {
    InputWord packed = 0;
    for (int lane = 0; lane < InputLanes; ++lane) {
      packed = shift_in<InputBits>(packed, ap_uint<InputBits>(next_code()));
    }
    in.write(packed);
  }
}

static void sink(Out& out, int images) {
  for (int image = 0; image < images; ++image) {
    const OutputWord word = out.read();
    std::cout << (word >> (Classes * LogitBits)).to_uint64();
    const ap_uint<Classes * LogitBits> logits = word;
    for (int i = 0; i < Classes; ++i) {
      std::cout << ' ' << value_of<LogitSigned>(lane_of<LogitBits>(logits, i)).to_int64();
    }
    std::cout << '\n' << std::flush;
  }
}

static void run_threads(int images) {
  In in("in", 2);
  Out out("out", 2);
  dataflow region;
  region.process("source", [&] { source(in, images); });
  region.process("sink", [&] { sink(out, images); });
  simulate(region, in, out, images);
}

static void run_sequential(int images) {
  In in("in");
  Out out("out");
  source(in, images);
  accelerator(in, out, images);
  sink(out, images);
}

static void tell_detected() {
  std::cout << "detected";
  for (int memory = 0; memory < Memories; ++memory) {
    ap_uint<32> told = 0;
    report(memory, told);
    std::cout << ' ' << told[1].to_bool();
  }
  std::cout << '\n' << std::flush;
}

int main(int count, char** arguments) {
  const std::string mode = count == 3 ? arguments[1] : "";
  if (mode != "threads" && mode != "sequential") {
    std::cerr << "usage: simulation threads|sequential IMAGES\n";
    return 2;
  }
  const int images = std::atoi(arguments[2]);
  try {
    if (mode == "threads") {
      run_threads(images);
    } else {
      run_sequential(images);
    }
    the_scheduler().expect_no_leftovers();
    tell_detected();
  } catch (const deadlock& stuck) {
    std::cerr << "deadlock: " << stuck.what() << '\n';
    return 3;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
