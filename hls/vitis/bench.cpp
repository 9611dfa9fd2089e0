// Run the top function on the vectors of a file and compare; it needs nothing but the vendor's
// headers, so it is the test bench of C simulation, on the host and in the vendor's tools, and of
// the vendor's co-simulation.
//
// Usage: bench FILE. A line is one call, all numbers in hexadecimal:
//   run IMAGES WORDS word... RESULTS word...       images in, results wanted
//   write MEMORY ADDRESS PART value                32 bits of a stored word
//   read MEMORY ADDRESS PART value                 the value wanted
//   told MEMORY value                              1 some memory has detected, 2 this one has
// Exit status: 0 all as wanted, 1 not, 2 bad usage or file.

#include <cstdint>
#include <fstream>
#include <iostream>
#include <string>

#include "accelerator_axi.hpp"

static std::ifstream file;

static std::uint64_t number() {
  std::uint64_t value = 0;
  file >> std::hex >> value;
  return value;
}

static bool complain(int line, const std::string& what) {
  std::cerr << "line " << line << ": " << what << '\n';
  return false;
}

static bool run(int line) {
  hls::stream<ImageWord> images("images");
  hls::stream<ResultWord> results("results");
  const int vectors = static_cast<int>(number());
  for (std::uint64_t left = number(); left > 0; --left) {
    ImageWord word;
    word.data = number();
    word.keep = -1;
    word.strb = -1;
    word.last = left == 1;
    images.write(word);
  }
  ap_uint<32> answer = 0;
  ap_uint<32> told = 0;
  accelerator_axi(images, results, vectors, 0, 0, 0, 0, 0, answer, told);
  if (!images.empty()) return complain(line, "words of images were left unread");
  for (std::uint64_t left = number(); left > 0; --left) {
    if (results.empty()) return complain(line, "a result is missing");
    const ResultWord word = results.read();
    const std::uint64_t wanted = number();
    if (word.data.to_uint64() != wanted) return complain(line, "a result differs");
    if (word.last != (left == 1)) return complain(line, "TLAST is not behind the last word");
  }
  if (!results.empty()) return complain(line, "words after the last result");
  return true;
}

static bool access(int line, bool write) {
  hls::stream<ImageWord> images("images");
  hls::stream<ResultWord> results("results");
  const int memory = static_cast<int>(number());
  const int address = static_cast<int>(number());
  const int part = static_cast<int>(number());
  const std::uint64_t value = number();
  ap_uint<32> answer = 0;
  ap_uint<32> told = 0;
  const ap_uint<32> given = write ? value : ~value;  // a read must not care
  accelerator_axi(images, results, 0, write ? 1 : 2, memory, address, part, given, answer,
                  told);
  if (!results.empty()) return complain(line, "an access gave a result");
  if (!write && answer.to_uint64() != value) return complain(line, "a stored word differs");
  return true;
}

static bool detection(int line) {
  hls::stream<ImageWord> images("images");
  hls::stream<ResultWord> results("results");
  const int memory = static_cast<int>(number());
  const std::uint64_t wanted = number();
  ap_uint<32> answer = 0;
  ap_uint<32> told = 0;
  accelerator_axi(images, results, 0, 0, memory, 0, 0, 0, answer, told);
  return told.to_uint64() == wanted || complain(line, "another word is damaged");
}

static bool call(int line, const std::string& verb) {
  if (verb == "run") return run(line);
  if (verb == "told") return detection(line);
  return access(line, verb == "write");
}

int main(int count, char** arguments) {
  if (count == 2) file.open(arguments[1]);
  if (!file.is_open()) {
    std::cerr << "usage: bench FILE\n";
    return 2;
  }
  int line = 0;
  for (std::string verb; file >> verb;) {
    ++line;
    const bool known = verb == "run" || verb == "write" || verb == "read" || verb == "told";
    const bool good = known && call(line, verb);
    if (!known) std::cerr << "line " << line << ": no such verb\n";
    if (!good || !file) return known ? 1 : 2;
  }
  std::cout << line << " calls as wanted\n";
  return line == 0 ? 2 : 0;
}
