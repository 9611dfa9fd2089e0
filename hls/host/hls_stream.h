#pragma once
// Host stand-in for the vendor's hls_stream.h: a queue with a name, a depth and blocking ends.
//
// Without a depth it is unbounded, as the vendor's own C simulation has it. Reading an empty stream
// that nothing can fill, or writing a full one nothing can drain, is a deadlock (scheduler.hpp).

#include <cstddef>
#include <deque>
#include <limits>
#include <string>
#include <utility>

#include "scheduler.hpp"

namespace hls {

template <typename T>
class stream {
  std::string name;
  std::size_t depth;
  std::deque<T> words;
  waiter reader;
  waiter writer;

 public:
  static constexpr std::size_t Unbounded = std::numeric_limits<std::size_t>::max();

  explicit stream(std::string name_ = "stream", std::size_t depth_ = Unbounded)
      : name(std::move(name_)), depth(depth_) {}
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;
  ~stream() {
    if (!words.empty()) {
      the_scheduler().leave_over(std::to_string(words.size()) + " in " + name);
    }
  }

  T read() {
    scheduler& all = the_scheduler();
    std::unique_lock<std::mutex> lock(all.mutex);
    if (words.empty()) {
      all.wait(lock, reader, "read " + name + " (empty)", [this] { return !words.empty(); });
    }
    T word = words.front();
    words.pop_front();
    all.wake(writer);
    return word;
  }

  void write(const T& word) {
    scheduler& all = the_scheduler();
    std::unique_lock<std::mutex> lock(all.mutex);
    if (words.size() >= depth) {
      all.wait(lock, writer, "write " + name + " (full at depth " + std::to_string(depth) + ")",
               [this] { return words.size() < depth; });
    }
    words.push_back(word);
    all.wake(reader);
  }

  bool empty() {
    const std::lock_guard<std::mutex> lock(the_scheduler().mutex);
    return words.empty();
  }
};

}  // namespace hls
