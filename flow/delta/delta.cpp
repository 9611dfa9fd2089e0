// What a few changed elements make of one image: only what they reach is computed again.
//
// All edges of a network lie one behind the other in one array of elements, constants last. A clean
// run fills it; a change is entered, runs through the nodes that read changed elements, and is taken
// back. flow/delta/program.py lays the elements out and says which source every node reads where.
//
// Registers wrap modulo 2^bits, so sums may wrap in the machine word as long as that is no narrower.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <type_traits>
#include <unordered_map>
#include <vector>

using Ids = std::vector<std::int32_t>;

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
struct Kind {  // a register: bits, and the least value its codes mean
  std::int64_t low, mask;
  Word wrap(Word value) const {
    using Bits = std::make_unsigned_t<Word>;
    return static_cast<Word>(((static_cast<Bits>(value) - static_cast<Bits>(low)) &
                              static_cast<Bits>(mask)) +
                             static_cast<Bits>(low));
  }
};

// Which outputs (or places of a product) read each element of [first, first + size).
struct Readers {
  std::int32_t first = 0;
  Ids start, slots;

  Readers(const std::int32_t* source, std::int64_t count, std::int32_t low, std::int32_t high)
      : first(low), start(high - low + 1, 0), slots(0) {
    const auto inside = [&](std::int64_t k) { return source[k] >= low && source[k] < high; };
    for (std::int64_t k = 0; k < count; k++)
      if (inside(k)) start[source[k] - low + 1]++;
    for (std::size_t k = 1; k < start.size(); k++) start[k] += start[k - 1];
    slots.resize(start.back());
    Ids next(start.begin(), start.end() - 1);
    for (std::int64_t k = 0; k < count; k++)
      if (inside(k)) slots[next[source[k] - low]++] = static_cast<std::int32_t>(k);
  }
  template <class Visit>
  void each(std::int32_t element, Visit visit) const {
    const std::int32_t k = element - first;
    if (k < 0 || k + 1 >= static_cast<std::int32_t>(start.size())) return;
    for (std::int32_t j = start[k]; j < start[k + 1]; j++) visit(slots[j]);
  }
};

constexpr std::size_t kSeen = 1 << 16;  // results that are remembered at a cut
constexpr std::int32_t kAtOnce = 64;  // rows of a product that are looked at together
constexpr std::int64_t kAbreast = 256;  // images that are screened together
constexpr std::int64_t kScreened = 1 << 25;  // elements of them that are held at most

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
    Ids touched;
    run(state, touched);
  }
  // `touched`: places whose sums in `work` and marks are begun already.
  void run(State<Word>& state, Ids& touched) const {
    auto& work = state.work[this->number];
    Word* const marks = work.data() + static_cast<std::size_t>(places) * rows;
    for (int source : this->sources)
      for (std::int32_t element : state.changed[source]) {
        const Word step = state.now[element] - state.clean[element];
        this->readers->each(element, [&](std::int32_t slot) {
          const std::int32_t place = slot / columns, column = slot % columns;
          const Word* from = weights.data() + static_cast<std::size_t>(column) * share;
          Word* to = work.data() + static_cast<std::size_t>(place) * rows + group[column] * share;
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
      Word* sums = work.data() + static_cast<std::size_t>(place) * rows;
      const std::size_t from = static_cast<std::size_t>(place) * rows;
      const Word* clean = state.clean + this->out + from;
      for (std::int32_t first = 0; first < rows; first += kAtOnce) {
        const std::int32_t end = std::min(rows, first + kAtOnce);
        int outside = 0;
        for (std::int32_t r = first; r < end; r++) {
          const Word value = moved(clean[r], sums[r]);
          outside |= (value < least[from + r]) | (value > most[from + r]);
        }
        if (outside)
          for (std::int32_t r = first; r < end; r++) {
            const Word value = moved(clean[r], sums[r]);
            if (value < least[from + r] || value > most[from + r])
              state.put(this->number, this->out + place * rows + r, value);
          }
        std::fill(sums + first, sums + end, Word{0});
      }
    }
  }
  Word moved(Word clean, Word step) const { return kind.wrap(clean + (halved ? step / 2 : step)); }
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
          const std::int32_t channel = slot % channels;
          if (std::find(skipped.begin(), skipped.end(), channel) != skipped.end()) return;
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

struct Network {  // whatever its word
  virtual ~Network() = default;
  virtual void node(const std::int64_t*, const std::int32_t*, const std::int64_t*) = 0;
  virtual void logits(std::int32_t first, std::int32_t count) = 0;
  virtual void* runner() const = 0;
};

// Changes that strike together: set k is the entries [start[k], start[k + 1]), by ascending node.
struct Sets {
  std::int64_t count;
  const std::int64_t* start;
  const std::int32_t* node;
  const std::int32_t* parameter;  // 0 weights, 1 thresholds, 2 signs
  const std::int64_t* element;    // of the parameter, row by row
  const std::int64_t* value;      // by how much a weight moves, or what else becomes of it
};

struct Runner {
  std::vector<std::int64_t> logits;  // (results, classes)
  virtual ~Runner() = default;
  virtual void image(const std::int64_t* clean) = 0;
  virtual void weights(int node, const std::int64_t* steps, std::int32_t bits, std::int32_t* to) = 0;
  virtual void thresholds(int node, const std::int64_t* codes, std::int32_t bits,
                          std::int32_t* to) = 0;
  virtual void signs(int node, std::int32_t* to) = 0;
  virtual void sets(const Sets& sets, std::int32_t* to) = 0;
  virtual void many(const std::int64_t* rows, std::int64_t images, const Sets& sets,
                    std::int32_t* to, std::int32_t* clean) = 0;
};

template <class Word>
struct Net final : Network {
  std::int32_t elements, first = 0, classes = 0;
  std::vector<std::unique_ptr<Node<Word>>> nodes;  // 0: the input, an empty place
  explicit Net(std::int32_t count) : elements(count), nodes(1) {}

  void logits(std::int32_t at, std::int32_t count) override { first = at, classes = count; }
  void* runner() const override;

  // head: kind, out, cut, low and high of what it reads, slots, number of sources, the sources, then
  // the kind's own numbers; constants: its weights, thresholds or factors.
  void node(const std::int64_t* head, const std::int32_t* reads,
            const std::int64_t* constants) override {
    const std::int64_t what = head[0], slots = head[5], many = head[6];
    const std::int64_t* own = head + 7 + many;
    std::unique_ptr<Node<Word>> made;
    if (what == 0) {
      auto one = std::make_unique<Product<Word>>();
      one->places = own[0], one->columns = own[1], one->rows = own[2], one->share = own[3];
      one->halved = own[4], one->kind = {own[5], own[6]};
      one->weights.assign(constants, constants + one->columns * one->share);
      one->group.assign(constants + one->columns * one->share,
                        constants + one->columns * (one->share + 1));
      made = std::move(one);
    } else if (what == 1) {
      auto one = std::make_unique<Staircase<Word>>();
      one->channels = own[0], one->steps = own[1], one->base = own[2];
      one->bipolar = own[3], one->search = own[4];
      const std::int64_t size = one->channels * static_cast<std::int64_t>(one->steps);
      one->thresholds.assign(constants, constants + size);
      one->sign.assign(constants + size, constants + size + one->channels);
      made = std::move(one);
    } else {
      auto one = std::make_unique<Fold<Word>>();
      one->fan = own[0], one->largest = own[1], one->kind = {own[2], own[3]};
      const std::int64_t channels = own[4];
      one->factors.assign(constants, constants + channels * one->fan);
      one->offset.assign(constants + channels * one->fan, constants + channels * (one->fan + 1));
      made = std::move(one);
    }
    made->number = static_cast<int>(nodes.size());
    made->out = head[1], made->cut = head[2];
    made->sources.assign(head + 7, head + 7 + many);
    made->reads.assign(reads, reads + slots);
    made->readers = std::make_unique<Readers>(reads, slots, head[3], head[4]);
    nodes.push_back(std::move(made));
  }
};

template <class Word>
struct Walk final : Runner {
  const Net<Word>& net;
  State<Word> state;
  std::vector<Word> words;
  std::unordered_map<Key, std::int32_t, KeyHash> seen;  // at a cut: what became of its changes
  std::int32_t untouched = 0;  // the result of the clean run

  std::vector<const Product<Word>*> products;  // by node, or none
  std::vector<const Staircase<Word>*> staircases;
  std::vector<std::vector<Ids>> own;  // by product: the columns of each group
  Ids rows, channels;
  std::vector<Word> moves;  // (rows, places)
  // Of images abreast: (elements, images); by product (sums, images); (images) each.
  std::vector<Word> across, hit, total;
  std::vector<std::vector<Word>> lows, highs;

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
  void image(const std::int64_t* clean) override {
    words.assign(clean, clean + net.elements);
    state.clean = words.data();
    state.now = words;
    seen.clear();
    for (const Product<Word>* product : products)
      if (product)
        guard(*product, state.least[product->number], state.most[product->number]);
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
  // The sums around each clean one that leave a lone staircase behind a product on its level.
  void guard(const Product<Word>& product, std::vector<Word>& least, std::vector<Word>& most) const {
    const Staircase<Word>* behind = nullptr;
    int readers = 0;
    for (std::size_t k = product.number + 1; k < net.nodes.size(); k++)
      for (int source : net.nodes[k]->sources)
        if (source == product.number) {
          behind = dynamic_cast<const Staircase<Word>*>(net.nodes[k].get());
          readers++;
        }
    const bool alone = readers == 1 && behind && product.out != net.first;
    const std::int32_t size = product.places * product.rows;
    least.assign(state.clean + product.out, state.clean + product.out + size);
    most = least;
    for (std::int32_t at = 0; alone && at < size; at++) {
      const Word sum = least[at];
      Word low = std::numeric_limits<Word>::min(), high = std::numeric_limits<Word>::max();
      behind->readers->each(product.out + at, [&](std::int32_t slot) {
        const Word* bank = behind->thresholds.data() +
                           static_cast<std::size_t>(slot % behind->channels) * behind->steps;
        for (std::int32_t k = 0; k < behind->steps; k++) {
          if (bank[k] <= sum) low = std::max(low, bank[k]);
          else high = std::min<Word>(high, bank[k] - 1);
        }
      });
      least[at] = low, most[at] = high;
    }
  }
  // steps: (rows, columns of a group, bits), how far each flip moves its weight.
  void weights(int number, const std::int64_t* steps, std::int32_t bits,
               std::int32_t* to) override {
    const auto& product = static_cast<const Product<Word>&>(*net.nodes[number]);
    const std::int32_t places = product.places, columns = product.columns;
    std::vector<Word> turned(static_cast<std::size_t>(columns) * places), low(places), high(places);
    const auto& least = state.least[number];
    const auto& most = state.most[number];
    for (std::int32_t place = 0; place < places; place++)
      for (std::int32_t column = 0; column < columns; column++)
        turned[static_cast<std::size_t>(column) * places + place] =
            state.clean[product.reads[static_cast<std::size_t>(place) * columns + column]];
    for (std::int32_t row = 0; row < product.rows; row++) {
      seen.clear();
      for (std::int32_t place = 0; place < places; place++) {
        low[place] = least[place * product.rows + row];
        high[place] = most[place * product.rows + row];
      }
      const Word* sums = state.clean + product.out + row;
      for (std::int32_t column = 0; column < columns; column++) {
        if (product.group[column] != row / product.share) continue;
        const Word* x = turned.data() + static_cast<std::size_t>(column) * places;
        for (std::int32_t bit = 0; bit < bits; bit++) {
          const auto step = static_cast<Word>(*steps++);
          int outside = 0;
          for (std::int32_t place = 0; place < places; place++) {
            const Word sum = product.moved(sums[place * product.rows], step * x[place]);
            outside |= (sum < low[place]) | (sum > high[place]);
          }
          if (!outside) {
            *to++ = untouched;
            continue;
          }
          for (std::int32_t place = 0; place < places; place++)
            state.put(number, product.out + place * product.rows + row,
                      product.moved(sums[place * product.rows], step * x[place]));
          *to++ = follow(number);
        }
      }
    }
  }
  // codes: (channels, steps, bits), what each flip makes of its threshold.
  void thresholds(int number, const std::int64_t* codes, std::int32_t bits,
                  std::int32_t* to) override {
    const auto& stairs = static_cast<const Staircase<Word>&>(*net.nodes[number]);
    for (std::int32_t channel = 0; channel < stairs.channels; channel++) {
      seen.clear();
      const Word* bank = stairs.thresholds.data() + static_cast<std::size_t>(channel) * stairs.steps;
      for (std::int32_t flip = 0; flip < stairs.steps * bits; flip++) {
        const auto other = static_cast<Word>(*codes++);
        levels(stairs, channel, [&](Word x) {
          return stairs.level(stairs.reached(x, bank, flip / bits, other), stairs.sign[channel]);
        });
        *to++ = follow(number);
      }
    }
  }
  void signs(int number, std::int32_t* to) override {
    const auto& stairs = static_cast<const Staircase<Word>&>(*net.nodes[number]);
    for (std::int32_t channel = 0; channel < stairs.channels; channel++) {
      seen.clear();
      const Word* bank = stairs.thresholds.data() + static_cast<std::size_t>(channel) * stairs.steps;
      levels(stairs, channel, [&](Word x) {
        return stairs.level(stairs.reached(x, bank, -1, 0), -stairs.sign[channel]);
      });
      *to++ = follow(number);
    }
  }
  void sets(const Sets& sets, std::int32_t* to) override {
    seen.clear();
    for (std::int64_t k = 0; k < sets.count; k++) {
      if (seen.size() > kSeen) seen.clear();
      *to++ = together(sets, sets.start[k], sets.start[k + 1]);
    }
  }
  // `sets` on many images: to (sets, images) and clean (images) number results. A strike is followed
  // where it moves a value on clean inputs; elsewhere no struck node ever sees others.
  void many(const std::int64_t* all, std::int64_t images, const Sets& sets, std::int32_t* to,
            std::int32_t* clean) override {
    const std::int64_t width = std::clamp<std::int64_t>(kScreened / net.elements, 16, kAbreast);
    std::vector<std::uint8_t> moved(static_cast<std::size_t>(sets.count) * width);
    for (std::int64_t begin = 0; begin < images; begin += width) {
      const std::int64_t count = std::min(width, images - begin);
      const std::int64_t* block = all + begin * net.elements;
      abreast(block, count, width);
      for (std::int64_t k = 0; k < sets.count; k++)
        screen(sets, sets.start[k], sets.start[k + 1], width, moved.data() + k * width);
      for (std::int64_t i = 0; i < count; i++) {
        image(block + i * net.elements);
        clean[begin + i] = untouched;
        for (std::int64_t k = 0; k < sets.count; k++) {
          std::int32_t& found = to[k * images + begin + i];
          found = untouched;
          if (!moved[k * width + i]) continue;
          if (seen.size() > kSeen) seen.clear();
          found = together(sets, sets.start[k], sets.start[k + 1]);
        }
      }
    }
  }
  // Lays a block of images out element by element, with the guards of every product's sums.
  void abreast(const std::int64_t* block, std::int64_t count, std::int64_t width) {
    across.assign(static_cast<std::size_t>(net.elements) * width, 0);
    lows.resize(products.size()), highs.resize(products.size());
    for (std::int64_t i = 0; i < count; i++) {
      image(block + i * net.elements);
      logits.resize(logits.size() - net.classes);  // the run is not asked for yet
      for (std::int64_t e = 0; e < net.elements; e++) across[e * width + i] = words[e];
      for (std::size_t p = 0; p < products.size(); p++) {
        if (!products[p]) continue;
        lows[p].resize(state.least[p].size() * width), highs[p].resize(state.most[p].size() * width);
        for (std::size_t e = 0; e < state.least[p].size(); e++) {
          lows[p][e * width + i] = state.least[p][e];
          highs[p][e * width + i] = state.most[p][e];
        }
      }
    }
  }
  // Which images of the block see entries [first, end) move anything on clean inputs.
  void screen(const Sets& sets, std::int64_t first, std::int64_t end, std::int64_t width,
              std::uint8_t* moved) {
    hit.assign(width, 0);
    open(sets, first, end, true);
    for (std::int64_t j = first; j < end;) {
      if (const Product<Word>* product = products[sets.node[j]]) {
        const auto columns = static_cast<std::uint32_t>(own[product->number][0].size());
        const auto row_of = [&](std::int64_t at) {
          return static_cast<std::uint32_t>(sets.element[at]) / columns;
        };
        std::int64_t next = j + 1;
        while (next < end && sets.node[next] == sets.node[j] && row_of(next) == row_of(j)) next++;
        screen_row(*product, static_cast<std::int32_t>(row_of(j)), sets, j, next, width);
        j = next;
      } else {
        screen_step(*staircases[sets.node[j]], sets, j, width);
        j++;
      }
    }
    open(sets, first, end, false);
    for (std::int64_t i = 0; i < width; i++) moved[i] = hit[i] != 0;
  }
  void screen_row(const Product<Word>& product, std::int32_t row, const Sets& sets,
                  std::int64_t from, std::int64_t end, std::int64_t width) {
    const Ids& group = own[product.number][row / product.share];
    const auto columns = static_cast<std::uint32_t>(group.size());
    const bool open = state.open[product.number];
    Word* const mark = hit.data();
    for (std::int32_t place = 0; place < product.places; place++) {
      total.assign(width, 0);
      Word* const sum = total.data();
      for (std::int64_t j = from; j < end; j++) {
        const auto step = static_cast<Word>(sets.value[j]);
        const std::int32_t column = group[static_cast<std::uint32_t>(sets.element[j]) % columns];
        const std::size_t slot = static_cast<std::size_t>(place) * product.columns + column;
        const Word* x = across.data() + static_cast<std::size_t>(product.reads[slot]) * width;
        for (std::int64_t i = 0; i < width; i++) sum[i] += step * x[i];
      }
      const std::size_t at = static_cast<std::size_t>(place) * product.rows + row;
      const Word* clean = across.data() + (product.out + at) * width;
      const Word* low = open ? clean : lows[product.number].data() + at * width;
      const Word* high = open ? clean : highs[product.number].data() + at * width;
      for (std::int64_t i = 0; i < width; i++) {
        const Word value = product.moved(clean[i], sum[i]);
        mark[i] |= (value < low[i]) | (value > high[i]);
      }
    }
  }
  void screen_step(const Staircase<Word>& stairs, const Sets& sets, std::int64_t j,
                   std::int64_t width) {
    Word* const mark = hit.data();
    if (sets.parameter[j] != 1) {  // a sign moves nearly every level
      std::fill(mark, mark + width, Word{1});
      return;
    }
    const auto channel = static_cast<std::int32_t>(sets.element[j] / stairs.steps);
    const Word was = stairs.thresholds[sets.element[j]], is = static_cast<Word>(sets.value[j]);
    const auto size = static_cast<std::int32_t>(stairs.reads.size());
    for (std::int32_t slot = channel; slot < size; slot += stairs.channels) {
      const Word* x = across.data() + static_cast<std::size_t>(stairs.reads[slot]) * width;
      for (std::int64_t i = 0; i < width; i++) mark[i] |= (x[i] >= was) != (x[i] >= is);
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
      if (staircases[sets.node[j]])
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
    if (const Product<Word>* product = products[sets.node[from]]) move(*product, sets, from, end);
    else bend(*staircases[sets.node[from]], sets, from, end);
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

template <class Word>
void* Net<Word>::runner() const {
  return static_cast<Runner*>(new Walk<Word>(*this));
}

// What flow/delta/walk.py calls.
extern "C" {
void* delta_network(int word, std::int32_t elements, std::int32_t logits, std::int32_t classes) {
  Network* made = nullptr;
  if (word == 16) made = new Net<std::int16_t>(elements);
  else if (word == 32) made = new Net<std::int32_t>(elements);
  else made = new Net<std::int64_t>(elements);
  made->logits(logits, classes);
  return made;
}
void delta_node(void* network, const std::int64_t* head, const std::int32_t* reads,
                const std::int64_t* constants) {
  static_cast<Network*>(network)->node(head, reads, constants);
}
void delta_free_network(void* network) { delete static_cast<Network*>(network); }

void* delta_runner(const void* network) { return static_cast<const Network*>(network)->runner(); }
void delta_free_runner(void* runner) { delete static_cast<Runner*>(runner); }
void delta_image(void* runner, const std::int64_t* clean) {
  static_cast<Runner*>(runner)->image(clean);
}
// parameter: 0 weights, 1 thresholds, 2 signs.
void delta_strike(void* runner, int parameter, int node, const std::int64_t* flips,
                  std::int32_t bits, std::int32_t* to) {
  auto* one = static_cast<Runner*>(runner);
  if (parameter == 0) one->weights(node, flips, bits, to);
  if (parameter == 1) one->thresholds(node, flips, bits, to);
  if (parameter == 2) one->signs(node, to);
}
void delta_strike_sets(void* runner, const Sets* sets, std::int32_t* to) {
  static_cast<Runner*>(runner)->sets(*sets, to);
}
void delta_many(void* runner, const std::int64_t* rows, std::int64_t images, const Sets* sets,
                std::int32_t* to, std::int32_t* clean) {
  static_cast<Runner*>(runner)->many(rows, images, *sets, to, clean);
}
std::int64_t delta_results(void* runner) { return static_cast<Runner*>(runner)->logits.size(); }
void delta_take(void* runner, std::int64_t* to) {  // the logits of all results, and forgets them
  auto& logits = static_cast<Runner*>(runner)->logits;
  std::copy(logits.begin(), logits.end(), to);
  logits.clear();
}

// Enters the results of every (image, flip) into what is counted per flip and per image.
struct Tally {
  std::int64_t flips, stride, effects;
  std::int64_t* counts;            // (flips, effects)
  std::uint8_t* critical;          // (flips, stride), a bit per image, the first highest
  double* rises;                   // (flips), or none
  std::int64_t *critical_faults, *lowest, *worst;  // per image
};
void delta_tally(const Tally* tally, const std::int32_t* results, std::int64_t first,
                 std::int64_t images, const std::uint8_t* effect, const std::int64_t* standing,
                 const double* rise) {
  for (std::int64_t image = first; image < first + images; image++)
    for (std::int64_t flip = 0; flip < tally->flips; flip++) {
      const std::int32_t result = *results++;
      const std::uint8_t what = effect[result];
      tally->counts[flip * tally->effects + what]++;
      if (what > 1) {  // another class
        tally->critical[flip * tally->stride + image / 8] |= 0x80 >> image % 8;
        tally->critical_faults[image]++;
      }
      if (rise) tally->rises[flip] += rise[result];
      if (standing[result] < tally->lowest[image]) {
        tally->lowest[image] = standing[result];
        tally->worst[image] = flip;
      }
    }
}
}
