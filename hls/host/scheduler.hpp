#pragma once
// Who runs and who waits: streams report here, so that a deadlock is seen the moment it happens.
//
// One mutex guards every stream. A thread that cannot go on sleeps in wait(). If every live thread
// sleeps, none can ever be woken, and all of them end with a `deadlock` that says who waits for
// what. No clock is involved: the verdict is exact and does not depend on the machine's load.

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

struct deadlock : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// One end of a stream; at most one thread sleeps here.
struct waiter {
  std::condition_variable woken;
  bool asleep = false;
  std::string complaint;
};

class scheduler {
  std::vector<waiter*> sleepers;
  std::size_t live = 1;   // the main thread
  std::string verdict;    // who waits for what, once stuck
  std::string leftovers;  // streams that ended with words in them

  void judge() {
    if (live == 0 || sleepers.size() < live || !verdict.empty()) return;
    for (const waiter* sleeper : sleepers) {
      verdict += (verdict.empty() ? "" : "; ") + sleeper->complaint;
    }
    for (waiter* sleeper : sleepers) {
      sleeper->asleep = false;
      sleeper->woken.notify_one();
    }
    sleepers.clear();
  }

 public:
  std::mutex mutex;

  // The name of the calling thread in a verdict.
  static std::string& process() {
    thread_local std::string name = "main";
    return name;
  }

  // A thread is about to run.
  void enter() {
    const std::lock_guard<std::mutex> lock(mutex);
    ++live;
  }

  // A thread has ended, or waits for threads only.
  void leave() {
    const std::lock_guard<std::mutex> lock(mutex);
    --live;
    judge();
  }

  // Sleep at `end` until `ready`; `lock` holds the mutex.
  template <typename Ready>
  void wait(std::unique_lock<std::mutex>& lock, waiter& end, const std::string& what, Ready ready) {
    while (!ready()) {
      if (verdict.empty()) {
        end.complaint = process() + " waits to " + what;
        end.asleep = true;
        sleepers.push_back(&end);
        judge();
        end.woken.wait(lock, [&end] { return !end.asleep; });
      }
      if (!verdict.empty()) throw deadlock(verdict);
    }
  }

  // A stream ended with words nobody read: the run is wrong even if its output is right.
  void leave_over(const std::string& what) {
    const std::lock_guard<std::mutex> lock(mutex);
    leftovers += (leftovers.empty() ? "" : "; ") + what;
  }

  // Raise if a stream ended with words in it.
  void expect_no_leftovers() {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!leftovers.empty()) throw std::runtime_error("words left unread: " + leftovers);
  }

  // Let the thread at `end` look again; the caller holds the mutex.
  void wake(waiter& end) {
    if (!end.asleep) return;
    end.asleep = false;
    sleepers.erase(std::find(sleepers.begin(), sleepers.end(), &end));
    end.woken.notify_one();
  }
};

// The one scheduler of this program.
inline scheduler& the_scheduler() {
  static scheduler only;
  return only;
}
