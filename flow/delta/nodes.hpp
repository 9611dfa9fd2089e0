// The kinds of nodes, each of which computes again what its changed sources reach.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "elements.hpp"

constexpr std::int32_t kAtOnce = 64;  // rows of a product that are looked at together

template <class Word>
struct State {  // of one thread
  const Word* clean = nullptr;
  std::vector<Word> now;
  std::vector<Ids> changed;  // by node: elements of its output that differ from the clean run
  std::vector<std::vector<Word>> work;
  // By product, the sums around each of its clean ones that change nothing behind it, unless what
  // is behind it is struck too: then `open`.
  std::vector<std::vector<Word>> least, most;
  std::vector<char> open;
  Ids touched;  // places of the node that runs

  void put(int node, std::int32_t element, Word value) {
    if (value == clean[element]) return;  // every node enters each element once
    now[element] = value;
    changed[node].push_back(element);
  }
};

template <class Word>
struct Node {
  int number = 0;
  Ids sources;  // nodes whose changes this one may read
  bool cut = false;  // whatever is behind depends on the changes of its one source alone
  std::int32_t out = 0;  // first element of the output
  Ids reads;  // source element of each slot
  std::unique_ptr<Readers> readers;

  virtual ~Node() = default;
  virtual std::size_t room() const { return 0; }
  virtual void run(State<Word>& state) const = 0;
};

template <class Word>
struct Product final : Node<Word> {  // slots: place * columns + column
  std::int32_t places, columns, rows, share;  // share: rows of a group
  bool halved;  // popcount form
  Kind<Word> kind;
  std::vector<Word> weights;  // (columns, share): the column's weight in each row of its group
  Ids group;  // of each column

  std::size_t room() const override { return static_cast<std::size_t>(places) * rows + places; }
  void run(State<Word>& state) const override {
    state.touched.clear();
    go_on(state);
  }
  // In `touched` are the places whose sums in `work` and marks are begun already.
  void go_on(State<Word>& state) const {
    Word* const work = state.work[this->number].data();
    Word* const marks = work + static_cast<std::size_t>(places) * rows;
    Ids& touched = state.touched;
    for (int source : this->sources)
      for (std::int32_t element : state.changed[source]) {
        const Word step = state.now[element] - state.clean[element];
        this->readers->each(element, [&](std::int32_t slot) {
          const std::int32_t place = slot < columns ? 0 : slot / columns;  // mostly there is one
          const std::int32_t column = slot - place * columns;
          const Word* from = weights.data() + static_cast<std::size_t>(column) * share;
          Word* to = work + static_cast<std::size_t>(place) * rows + group[column] * share;
          for (std::int32_t r = 0; r < share; r++) to[r] += step * from[r];
          if (!marks[place]) touched.push_back(place);
          marks[place] = 1;
        });
      }
    const bool open = state.open[this->number];
    const Word* least = open ? state.clean + this->out : state.least[this->number].data();
    const Word* most = open ? state.clean + this->out : state.most[this->number].data();
    for (std::int32_t place : touched) {
      marks[place] = 0;
      Word* sums = work + static_cast<std::size_t>(place) * rows;
      const std::size_t from = static_cast<std::size_t>(place) * rows;
      const Word* clean = state.clean + this->out + from;
      for (std::int32_t first = 0; first < rows; first += kAtOnce) {
        const std::int32_t end = std::min(rows, first + kAtOnce);
        alignas(64) std::uint8_t outside[kAtOnce] = {};
        for (std::int32_t r = first; r < end; r++) {
          sums[r] = moved(clean[r], sums[r]);
          outside[r - first] = (sums[r] < least[from + r]) | (sums[r] > most[from + r]);
        }
        each_set(outside, [&](std::int32_t r) {
          state.put(this->number, this->out + place * rows + first + r, sums[first + r]);
        });
        std::fill(sums + first, sums + end, Word{0});
      }
    }
  }
  // Visits the numbers of the bytes that are 1, eight bytes at a time.
  template <class Visit>
  static void each_set(const std::uint8_t (&flags)[kAtOnce], Visit visit) {
    for (std::int32_t at = 0; at < kAtOnce; at += 8) {
      std::uint64_t word;
      std::memcpy(&word, flags + at, 8);
      for (; word; word &= word - 1) visit(at + __builtin_ctzll(word) / 8);
    }
  }
  // A popcount counts half of what its products change by, which is even.
  Word moved(Word clean, Word step) const { return kind.wrap(clean + (halved ? step >> 1 : step)); }
};

template <class Word>
struct Staircase final : Node<Word> {  // slots: elements of the output
  std::int32_t channels, steps, base;
  bool bipolar, search;
  std::vector<Word> thresholds, sign;

  void run(State<Word>& state) const override { run(state, Ids()); }
  void run(State<Word>& state, const Ids& skipped) const {
    for (int source : this->sources)
      for (std::int32_t element : state.changed[source])
        this->readers->each(element, [&](std::int32_t slot) {
          const std::int32_t channel = slot < channels ? slot : slot % channels;
          if (!skipped.empty() && std::find(skipped.begin(), skipped.end(), channel) != skipped.end())
            return;
          const Word* bank = thresholds.data() + static_cast<std::size_t>(channel) * steps;
          const std::int32_t count = reached(state.now[element], bank, -1, 0);
          state.put(this->number, this->out + slot, level(count, sign[channel]));
        });
  }
  // How many of `bank` are reached while number `struck` of it is `other`.
  std::int32_t reached(Word x, const Word* bank, std::int32_t struck, Word other) const {
    std::int32_t count = 0;
    if (!search) {
      for (std::int32_t k = 0; k < steps; k++) count += x >= (k == struck ? other : bank[k]);
      return count;
    }
    int bits = 0;
    while (steps >> bits) bits++;
    while (bits--) {
      const std::int32_t probe = count + (1 << bits) - 1;
      if (probe < steps && x >= (probe == struck ? other : bank[probe])) count += 1 << bits;
    }
    return count;
  }
  Word level(std::int32_t count, Word direction) const {
    const Word found = base + (direction > 0 ? count : steps - count);
    return bipolar ? 2 * found - 1 : found;
  }
};

template <class Word>
struct Fold final : Node<Word> {  // slots: output * fan + term
  std::int32_t fan;
  bool largest;  // of the terms; else their sum with factors
  Kind<Word> kind;
  std::vector<Word> factors, offset;  // (channels, fan), (channels)

  std::size_t room() const override { return this->reads.size() / fan; }
  void run(State<Word>& state) const override {
    auto& marks = state.work[this->number];
    Ids touched;
    for (int source : this->sources)
      for (std::int32_t element : state.changed[source])
        this->readers->each(element, [&](std::int32_t slot) {
          if (!marks[slot / fan]) touched.push_back(slot / fan);
          marks[slot / fan] = 1;
        });
    const auto channels = static_cast<std::int32_t>(offset.size());
    for (std::int32_t place : touched) {
      marks[place] = 0;
      const std::int32_t* from = this->reads.data() + static_cast<std::size_t>(place) * fan;
      const std::int32_t channel = place % channels;
      Word value = largest ? state.now[from[0]] : offset[channel];
      for (std::int32_t k = 0; k < fan; k++) {
        if (largest) value = std::max(value, state.now[from[k]]);
        else value += factors[channel * fan + k] * state.now[from[k]];
      }
      state.put(this->number, this->out + place, largest ? value : kind.wrap(value));
    }
  }
};
