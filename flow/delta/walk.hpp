// Follows changes of one image through the network behind them, and takes them back.
#pragma once
#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "guard.hpp"
#include "network.hpp"

constexpr std::size_t kSeen = 1 << 16;  // results that are remembered at a cut

struct Key {  // element, value, element, value ..
  std::vector<std::int64_t> words;
  bool operator==(const Key& other) const { return words == other.words; }
};

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t hash = key.words.size();
    for (std::int64_t word : key.words) {
      hash ^= static_cast<std::uint64_t>(word) + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
      hash *= 0xff51afd7ed558ccdu;
      hash ^= hash >> 32;
    }
    return hash;
  }
};

template <class Word>
struct Walk {
  const Net<Word>& net;
  State<Word> state;
  std::vector<Word> words;
  std::vector<std::int64_t> logits;  // (results, classes)
  std::unordered_map<Key, std::int32_t, KeyHash> seen;  // at a cut: what became of its changes
  std::int32_t untouched = 0;  // the result of the clean run

  std::vector<const Product<Word>*> products;  // by node, or none
  std::vector<const Staircase<Word>*> staircases;
  std::vector<std::vector<Ids>> own;  // by product: the columns of each group
  Ids rows, channels;
  std::vector<Word> moves;  // (rows, places)

  explicit Walk(const Net<Word>& network) : net(network), own(network.nodes.size()) {
    for (const auto& node : net.nodes) {
      products.push_back(dynamic_cast<const Product<Word>*>(node.get()));
      staircases.push_back(dynamic_cast<const Staircase<Word>*>(node.get()));
      if (products.back()) own[products.size() - 1] = columns_of_groups(*products.back());
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
    for (std::int32_t k = 0; k < net.classes; k++) logits.push_back(state.now[net.first + k]);
    return number;
  }
  // Runs the nodes behind `struck`, whose changes are entered, and takes everything back. Entries
  // [at, end) of `sets` strike nodes on the way.
  std::int32_t follow(int struck, const Sets* sets = nullptr, std::int64_t at = 0,
                      std::int64_t end = 0) {
    std::int32_t found = -1;
    bool logits_moved = false;
    Key key;
    for (std::size_t k = struck + 1; k < net.nodes.size() && found < 0; k++) {
      const Node<Word>& node = *net.nodes[k];
      const std::int64_t from = at;
      while (at < end && sets->node[at] == static_cast<int>(k)) at++;
      if (from == at && !reached(node)) continue;
      if (node.cut && key.words.empty() && from == end) {
        for (std::int32_t element : state.changed[node.sources[0]]) {
          key.words.push_back(element);
          key.words.push_back(state.now[element]);
        }
        const auto known = seen.find(key);
        if (known != seen.end()) found = known->second;
      }
      if (found < 0 && from == at) node.run(state);
      if (found < 0 && from < at) strike(*sets, from, at);
    }
    if (found < 0) {
      for (std::int32_t k = net.first; k < net.first + net.classes; k++)
        logits_moved = logits_moved || state.now[k] != state.clean[k];
      found = logits_moved ? result() : untouched;
      if (!key.words.empty()) seen.emplace(std::move(key), found);
    }
    for (Ids& elements : state.changed) {
      for (std::int32_t element : elements) state.now[element] = state.clean[element];
      elements.clear();
    }
    return found;
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
  static std::vector<Ids> columns_of_groups(const Product<Word>& product) {
    std::vector<Ids> own(product.rows / product.share);
    for (std::int32_t column = 0; column < product.columns; column++)
      own[product.group[column]].push_back(column);
    return own;
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
    const auto& group = own[product.number];
    const auto width = static_cast<std::uint32_t>(group[0].size());
    const std::int32_t places = product.places;
    rows.clear(), moves.clear();
    for (std::int64_t j = from; j < end; j++) {
      const auto element = static_cast<std::uint32_t>(sets.element[j]);
      const auto row = static_cast<std::int32_t>(element / width);
      const std::int32_t column = group[row / product.share][element % width];
      const auto step = static_cast<Word>(sets.value[j]);
      std::size_t at = rows.size() - 1;  // entries mostly come row by row
      if (rows.empty() || rows[at] != row)
        at = std::find(rows.begin(), rows.end(), row) - rows.begin();
      if (at == rows.size()) {
        rows.push_back(row);
        moves.resize(rows.size() * places, 0);
      }
      for (std::int32_t place = 0; place < places; place++)
        moves[at * places + place] +=
            step * state.now[product.reads[static_cast<std::size_t>(place) * product.columns + column]];
    }
    if (reached(product)) {
      auto& work = state.work[product.number];
      Ids touched(places);
      for (std::int32_t place = 0; place < places; place++) {
        touched[place] = place;
        work[static_cast<std::size_t>(places) * product.rows + place] = 1;
        for (std::size_t at = 0; at < rows.size(); at++)
          work[static_cast<std::size_t>(place) * product.rows + rows[at]] += moves[at * places + place];
      }
      product.run(state, touched);
      return;
    }
    const bool open = state.open[product.number];
    const Word* least = open ? state.clean + product.out : state.least[product.number].data();
    const Word* most = open ? state.clean + product.out : state.most[product.number].data();
    for (std::size_t at = 0; at < rows.size(); at++)
      for (std::int32_t place = 0; place < places; place++) {
        const std::int32_t to = place * product.rows + rows[at];
        const Word sum = product.moved(state.clean[product.out + to], moves[at * places + place]);
        if (sum < least[to] || sum > most[to]) state.put(product.number, product.out + to, sum);
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
