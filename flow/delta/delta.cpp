// What a few changed elements make of one image: only what they reach is computed again.
//
// All edges of a network lie one behind the other in one array of elements, constants last. A clean
// run fills it; a change is entered, runs through the nodes that read changed elements, and is taken
// back. flow/delta/program.py lays the elements out and says which source every node reads where.
//
// Registers wrap modulo 2^bits, so sums may wrap in the machine word as long as that is no narrower.
#include <algorithm>
#include <cstdint>

#include "flips.hpp"
#include "screen.hpp"

template <class Word>
struct Run final : Runner {
  Walk<Word> walk;
  Screen<Word> screen{walk};
  explicit Run(const Net<Word>& net) : walk(net) {}

  std::int64_t results() const override { return walk.logits.size(); }
  void take(std::int64_t* to) override {
    std::copy(walk.logits.begin(), walk.logits.end(), to);
    walk.logits.clear();
  }
  void image(const std::int64_t* clean) override { walk.image(clean); }
  void weights(int node, const std::int64_t* steps, std::int32_t bits,
               std::int32_t* to) override {
    flip_weights(walk, node, steps, bits, to);
  }
  void thresholds(int node, const std::int64_t* codes, std::int32_t bits,
                  std::int32_t* to) override {
    flip_thresholds(walk, node, codes, bits, to);
  }
  void signs(int node, std::int32_t* to) override { flip_signs(walk, node, to); }
  void sets(const Sets& sets, std::int32_t* to) override { walk.sets(sets, to); }
  void many(const std::int64_t* rows, std::int64_t images, const Sets& sets,
            const Numbers& numbers) override {
    screen.many(rows, images, sets, numbers);
  }
};

template <class Word>
void* Net<Word>::runner() const {
  return static_cast<Runner*>(new Run<Word>(*this));
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
                const Numbers* numbers) {
  static_cast<Runner*>(runner)->many(rows, images, *sets, *numbers);
}
std::int64_t delta_results(const void* runner) { return static_cast<const Runner*>(runner)->results(); }
void delta_take(void* runner, std::int64_t* to) { static_cast<Runner*>(runner)->take(to); }

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
