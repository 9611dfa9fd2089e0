// How each unit of the library moves words, cycle by cycle; values play no part.
//
// Every cycle has three steps: `offer` says from the front to the back which streams carry a word,
// `accept` from the back to the front which of them can move, `clock` moves them. That is how the
// handshakes of the RTL settle, since valid never waits for ready. Streams are numbers; 0 is the
// input, and words are offered on it evenly, so many in so many cycles.
//
// Standard input, in words: streams, output, images, patience, cycles and words of the pace, then
// one actor after the other from front to back, as flow/schedule/tokens.py writes them. Standard
// output: the cycles in which results were taken, then of each queue the most words it held and the
// depth it needed. A run without a result for `patience` cycles ends early.
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

using Flags = std::vector<char>;  // one for every stream

static int number() {
  int value = 0;
  std::cin >> value;
  return value;
}

static std::vector<int> numbers() {
  std::vector<int> values(number());
  for (int& value : values) std::cin >> value;
  return values;
}

static Flags flags() {  // digits
  std::string text;
  std::cin >> text;
  Flags values(text.begin(), text.end());
  for (char& value : values) value -= '0';
  return values;
}

struct Actor {
  virtual ~Actor() = default;
  virtual void offer(Flags& valid) = 0;
  virtual void accept(const Flags& valid, Flags& ready) = 0;
  virtual void clock(const Flags& valid, const Flags& ready) = 0;
};

// One pipeline with a single enable: it moves while its output register is free or taken. Each step
// of its loop takes a word of every source, or of none; each makes a word, offered `stages` cycles
// later, or none.
struct Loop final : Actor {
  std::vector<int> sources = numbers();
  int sink = number();
  Flags takes = flags(), makes = flags();
  int stages = number();
  std::size_t step = 0;
  std::uint32_t pipe = 0;  // bit 0 is the youngest word

  bool whole(const Flags& valid) const {
    for (int source : sources)
      if (!valid[source]) return false;
    return true;
  }
  void offer(Flags& valid) override { valid[sink] = (pipe >> (stages - 1)) & 1; }
  void accept(const Flags& valid, Flags& ready) override {
    bool moves = takes[step] && (!valid[sink] || ready[sink]);
    if (sources.size() > 1) moves = moves && whole(valid);
    for (int source : sources) ready[source] = moves;
  }
  void clock(const Flags& valid, const Flags& ready) override {
    if (valid[sink] && !ready[sink]) return;
    const bool works = !takes[step] || whole(valid);
    pipe = ((pipe << 1) | (works && makes[step])) & ((1u << stages) - 1);
    if (works) step = (step + 1) % takes.size();
  }
};

// A FIFO. `need` is the least depth that would have taken every word when it came: a full one takes
// nothing while it gives.
struct Queue final : Actor {
  int source = number(), sink = number();
  long depth = number(), held = 0, high_water = 0, need = 0;

  void offer(Flags& valid) override { valid[sink] = held > 0; }
  void accept(const Flags&, Flags& ready) override { ready[source] = held < depth; }
  void clock(const Flags& valid, const Flags& ready) override {
    const bool pushed = valid[source] && ready[source];
    if (pushed && held >= need) need = held + 1;
    held += pushed - (valid[sink] && ready[sink]);
    if (held > high_water) high_water = held;
  }
};

// Every word to each sink at its own time.
struct Fork final : Actor {
  int source = number();
  std::vector<int> sinks = numbers();
  Flags taken = Flags(sinks.size(), 0);

  void offer(Flags& valid) override {
    for (std::size_t i = 0; i < sinks.size(); i++) valid[sinks[i]] = valid[source] && !taken[i];
  }
  void accept(const Flags&, Flags& ready) override {
    ready[source] = 1;
    for (std::size_t i = 0; i < sinks.size(); i++)
      if (!taken[i] && !ready[sinks[i]]) ready[source] = 0;
  }
  void clock(const Flags& valid, const Flags& ready) override {
    if (!valid[source]) return;
    for (std::size_t i = 0; i < sinks.size(); i++)
      taken[i] = !ready[source] && (taken[i] || ready[sinks[i]]);
  }
};

// Words of several sources one after the other: `turn` says whose, by step.
struct Turns final : Actor {
  std::vector<int> sources = numbers();
  int sink = number();
  Flags turn = flags();
  std::size_t step = 0;
  bool full = false;

  void offer(Flags& valid) override { valid[sink] = full; }
  void accept(const Flags&, Flags& ready) override {
    const bool moves = !full || ready[sink];
    for (std::size_t i = 0; i < sources.size(); i++)
      ready[sources[i]] = moves && turn[step] == static_cast<char>(i);
  }
  void clock(const Flags& valid, const Flags& ready) override {
    if (full && !ready[sink]) return;
    full = valid[sources[turn[step]]];
    if (full) step = (step + 1) % turn.size();
  }
};

// Words of an image between words of its own, by `image`; none before the first arrives.
struct Margins final : Actor {
  int source = number(), sink = number();
  Flags image = flags();
  std::size_t step = 0;
  bool full = false;

  void offer(Flags& valid) override { valid[sink] = full; }
  void accept(const Flags&, Flags& ready) override {
    ready[source] = image[step] && (!full || ready[sink]);
  }
  void clock(const Flags& valid, const Flags& ready) override {
    if (full && !ready[sink]) return;
    full = valid[source] || (step > 0 && !image[step]);
    if (full) step = (step + 1) % image.size();
  }
};

// A buffer of `depth` words that gives a window of `words` once its whole `extent` is inside.
struct Windows final : Actor {
  int source = number(), sink = number();
  Flags keep = flags();                 // by word of a frame, 0 where no window needs it
  std::vector<int> leaving = numbers();  // words that leave with each window of a frame
  int words = number(), extent = number(), depth = number();
  std::size_t arrived = 0, window = 0;
  int held = 0, word = 0;
  bool full = false;

  void offer(Flags& valid) override { valid[sink] = full; }
  void accept(const Flags&, Flags& ready) override {
    ready[source] = !keep[arrived] || held != depth;
  }
  void clock(const Flags& valid, const Flags& ready) override {
    int gone = 0;
    if (!full || ready[sink]) {
      full = held >= extent;
      if (full && ++word == words) {
        word = 0;
        gone = leaving[window];
        window = (window + 1) % leaving.size();
      }
    }
    if (valid[source] && ready[source]) {
      held += keep[arrived];
      arrived = (arrived + 1) % keep.size();
    }
    held -= gone;
  }
};

static std::unique_ptr<Actor> actor(const std::string& kind) {
  if (kind == "Loop") return std::make_unique<Loop>();
  if (kind == "Queue") return std::make_unique<Queue>();
  if (kind == "Fork") return std::make_unique<Fork>();
  if (kind == "Turns") return std::make_unique<Turns>();
  if (kind == "Margins") return std::make_unique<Margins>();
  if (kind == "Windows") return std::make_unique<Windows>();
  return nullptr;
}

int main() {
  const int streams = number(), output = number(), images = number();
  const long patience = number(), cycles = number(), words = number();
  std::vector<std::unique_ptr<Actor>> actors;
  for (std::string kind; std::cin >> kind;) {
    actors.push_back(actor(kind));
    if (!actors.back()) return 2;
  }
  Flags valid(streams, 0), ready(streams, 1);
  long offered = 0, last = 0;
  int taken = 0;
  for (long cycle = 0; taken < images && cycle - last <= patience; cycle++) {
    valid[0] = cycle * words >= offered * cycles;
    for (auto& one : actors) one->offer(valid);
    for (auto one = actors.rbegin(); one != actors.rend(); ++one) (*one)->accept(valid, ready);
    offered += valid[0] && ready[0];
    for (auto& one : actors) one->clock(valid, ready);
    if (valid[output]) {
      std::cout << cycle << ' ';
      last = cycle;
      taken++;
    }
  }
  std::cout << '\n';
  for (const auto& one : actors)
    if (const auto* queue = dynamic_cast<const Queue*>(one.get()))
      std::cout << queue->high_water << ' ' << queue->need << '\n';
}
