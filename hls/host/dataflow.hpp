#pragma once
// The host's form of a dataflow region: every process is a thread, streams block at their depth.

#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "scheduler.hpp"

class dataflow {
  std::vector<std::thread> threads;
  std::exception_ptr failure;

  void note(std::exception_ptr error) {
    const std::lock_guard<std::mutex> lock(the_scheduler().mutex);
    if (!failure) failure = std::move(error);
  }

 public:
  dataflow() = default;
  dataflow(const dataflow&) = delete;
  dataflow& operator=(const dataflow&) = delete;

  // Start `body`, known as `name` in the verdict of a deadlock.
  template <typename Body>
  void process(std::string name, Body body) {
    the_scheduler().enter();
    threads.emplace_back([this, name = std::move(name), body = std::move(body)] {
      scheduler::process() = name;
      try {
        body();
      } catch (...) {
        note(std::current_exception());
      }
      the_scheduler().leave();
    });
  }

  // Wait for every process. Call it before a stream goes out of scope; raises the first failure.
  void finish() {
    the_scheduler().leave();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
    the_scheduler().enter();
    if (failure) std::rethrow_exception(failure);
  }
};
