// Follows changes of one image through the network behind them, and takes them back.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "guard.hpp"
#include "memo.hpp"
#include "network.hpp"

constexpr std::size_t kSeen = 1 << 16;  // results that are remembered at a cut

template <class Word>
struct Walk {
  const Net<Word>& net;
  State<Word> state;
  std::vector<Word> words;
  std::vector<Word> logits;  // (results, classes)
  std::int32_t base = 0;  // the number of the first of these
  Key key;  // of the cut that is passed
  Memo seen;  // at a cut: what became of its changes
  std::int32_t untouched = 0;  // the result of the clean run

  std::vector<const Product<Word>*> products;  // by node, or none
  std::vector<const Staircase<Word>*> staircases;
  Ids channels;

  explicit Walk(const Net<Word>& network) : net(network) {
    for (const auto& node : net.nodes) {
      products.push_back(dynamic_cast<const Product<Word>*>(node.get()));
      staircases.push_back(dynamic_cast<const Staircase<Word>*>(node.get()));
    }
    state.open.resize(net.nodes.size());
    state.changed.resize(net.nodes.size());
    state.work.resize(net.nodes.size());
    state.least.resize(net.nodes.size());
    state.most.resize(net.nodes.size());
    for (std::size_t k = 1; k < net.nodes.size(); k++)
      state.work[k].assign(net.nodes[k]->room(), 0);
  }
  void image(const std::int64_t* clean) {
    words.assign(clean, clean + net.elements);
    state.clean = words.data();
    state.now = words;
    seen.clear();
    for (const Product<Word>* product : products)
      if (product)
        guard(net, state.clean, *product, state.least[product->number], state.most[product->number]);
    untouched = result();
  }
  std::int32_t result() {  // the logits as they are now, as a new row
    const auto number = static_cast<std::int32_t>(logits.size() / net.classes);
    const Word* now = state.now.data() + net.first;
    logits.insert(logits.end(), now, now + net.classes);
    return base + number;
  }
  // Runs the nodes behind `struck`, whose changes are entered, and takes everything back. Entries
  // [at, end) of `sets` strike nodes on the way.
  std::int32_t follow(int struck, const Sets* sets = nullptr, std::int64_t at = 0,
                      std::int64_t end = 0) {
    std::int32_t found = -1;
    key.clear();
    for (std::size_t k = struck + 1; k < net.nodes.size() && found < 0; k++) {
      const Node<Word>& node = *net.nodes[k];
      const std::int64_t from = at;
      while (at < end && sets->node[at] == static_cast<int>(k)) at++;
      if (from == at && !reached(node)) continue;
      if (node.cut && key.empty() && from == end) {
        for (std::int32_t element : state.changed[node.sources[0]]) enter(element);
        found = seen.find(key);
      }
      if (found < 0 && from == at) node.run(state);
      if (found < 0 && from < at) strike(*sets, from, at);
    }
    if (found < 0) {
      const Word* now = state.now.data() + net.first;
      found = std::equal(now, now + net.classes, state.clean + net.first) ? untouched : result();
      if (!key.empty()) seen.add(key, found);
    }
    for (Ids& elements : state.changed) {
      for (std::int32_t element : elements) state.now[element] = state.clean[element];
      elements.clear();
    }
    return found;
  }
  // Adds an element with its value to the key, in one word if it holds both.
  void enter(std::int32_t element) {
    const auto value = static_cast<std::int64_t>(state.now[element]);
    if (sizeof(Word) == 8) key.push_back(value);
    const std::int64_t low = sizeof(Word) == 8 ? 0 : value & 0xffffffff;
    key.push_back((static_cast<std::int64_t>(element) << 32) | low);
  }
  void sets(const Sets& sets, std::int32_t* to) {
    seen.clear();
    for (std::int64_t k = 0; k < sets.count; k++) {
      if (seen.size() > kSeen) seen.clear();
      *to++ = together(sets, sets.start[k], sets.start[k + 1]);
    }
  }
  // What entries [first, end) lead to.
  std::int32_t together(const Sets& sets, std::int64_t first, std::int64_t end) {
    if (first == end) return untouched;
    const int node = sets.node[first];
    std::int64_t next = first;
    while (next < end && sets.node[next] == node) next++;
    open(sets, next, end, true);
    strike(sets, first, next);
    const std::int32_t found = follow(node, &sets, next, end);
    open(sets, next, end, false);
    return found;
  }
  void open(const Sets& sets, std::int64_t from, std::int64_t end, bool wide) {
    for (std::int64_t j = from; j < end; j++)
      if (sets.passing(j)) state.open[sets.node[j]] = wide;  // the sum itself is wanted
      else if (staircases[sets.node[j]])
        for (int source : staircases[sets.node[j]]->sources) state.open[source] = wide;
  }
  bool reached(const Node<Word>& node) const {
    for (int source : node.sources)
      if (!state.changed[source].empty()) return true;
    return false;
  }
  // Runs the one node that entries [from, end) change, on what its sources are now.
  void strike(const Sets& sets, std::int64_t from, std::int64_t end) {
    if (sets.passing(from)) invert(sets, from, end);
    else if (const Product<Word>* product = products[sets.node[from]]) move(*product, sets, from, end);
    else bend(*staircases[sets.node[from]], sets, from, end);
  }
  // Runs a node, if that is needed, and inverts bits of what it has computed; node 0 is the input.
  void invert(const Sets& sets, std::int64_t from, std::int64_t end) {
    const int number = sets.node[from];
    if (number && reached(*net.nodes[number])) net.nodes[number]->run(state);
    for (std::int64_t j = from; j < end; j++) {
      const auto element = static_cast<std::int32_t>(sets.element[j]);
      Word& now = state.now[element];
      if (now == state.clean[element]) state.changed[number].push_back(element);
      now ^= static_cast<Word>(sets.value[j]);
    }
  }
  void move(const Product<Word>& product, const Sets& sets, std::int64_t from, std::int64_t end) {
    if (sets.ordered && !reached(product)) {
      move_rows(product, sets, from, end);
      return;
    }
    const std::int32_t places = product.places, rows = product.rows;
    Word* const work = state.work[product.number].data();
    state.touched.clear();
    for (std::int32_t place = 0; place < places; place++) {
      state.touched.push_back(place);
      work[static_cast<std::size_t>(places) * rows + place] = 1;
      const std::int32_t* reads = product.reads.data() + static_cast<std::size_t>(place) * product.columns;
      Word* const sums = work + static_cast<std::size_t>(place) * rows;
      for (std::int64_t j = from; j < end; j++)
        sums[sets.row[j]] += static_cast<Word>(sets.value[j]) * state.now[reads[sets.column[j]]];
    }
    product.go_on(state);
  }
  // The same where no source has changed: the struck rows alone, one after the other.
  void move_rows(const Product<Word>& product, const Sets& sets, std::int64_t from,
                 std::int64_t end) {
    const bool open = state.open[product.number];
    const Word* clean = state.clean + product.out;
    const Word* least = open ? clean : state.least[product.number].data();
    const Word* most = open ? clean : state.most[product.number].data();
    for (std::int64_t next; from < end; from = next) {
      next = from + 1;
      while (next < end && sets.row[next] == sets.row[from]) next++;
      for (std::int32_t place = 0; place < product.places; place++) {
        const std::int32_t* reads =
            product.reads.data() + static_cast<std::size_t>(place) * product.columns;
        Word step = 0;
        for (std::int64_t j = from; j < next; j++)
          step += static_cast<Word>(sets.value[j]) * state.clean[reads[sets.column[j]]];
        const std::int32_t to = place * product.rows + sets.row[from];
        const Word sum = product.moved(clean[to], step);
        if (sum < least[to] || sum > most[to]) state.put(product.number, product.out + to, sum);
      }
    }
  }
  void bend(const Staircase<Word>& stairs, const Sets& sets, std::int64_t from, std::int64_t end) {
    const std::int32_t steps = stairs.steps;
    const auto channel_of = [&](std::int64_t j) {
      return static_cast<std::int32_t>(sets.element[j] / (sets.parameter[j] == 1 ? steps : 1));
    };
    channels.clear();
    for (std::int64_t j = from; j < end; j++)
      if (std::find(channels.begin(), channels.end(), channel_of(j)) == channels.end())
        channels.push_back(channel_of(j));
    stairs.run(state, channels);
    for (std::int32_t channel : channels) {
      const Word* first = stairs.thresholds.data() + static_cast<std::size_t>(channel) * steps;
      std::vector<Word> bank(first, first + steps);
      Word sign = stairs.sign[channel];
      for (std::int64_t j = from; j < end; j++) {
        if (channel_of(j) != channel) continue;
        if (sets.parameter[j] == 1) bank[sets.element[j] % steps] = static_cast<Word>(sets.value[j]);
        else sign = static_cast<Word>(sets.value[j]);
      }
      levels(stairs, channel, [&](Word x) {
        return stairs.level(stairs.reached(x, bank.data(), -1, 0), sign);
      });
    }
  }
  template <class Level>
  void levels(const Staircase<Word>& stairs, std::int32_t channel, Level level) {
    const auto size = static_cast<std::int32_t>(stairs.reads.size());
    for (std::int32_t slot = channel; slot < size; slot += stairs.channels) {
      const std::int32_t element = stairs.out + slot;
      state.put(stairs.number, element, level(state.now[stairs.reads[slot]]));
    }
  }
};
