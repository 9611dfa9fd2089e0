// A network as flow/delta/program.py describes it, node by node.
#pragma once
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "nodes.hpp"
#include "strikes.hpp"

struct Network {  // whatever its word
  virtual ~Network() = default;
  virtual void node(const std::int64_t*, const std::int32_t*, const std::int64_t*) = 0;
  virtual void logits(std::int32_t first, std::int32_t count) = 0;
  virtual void* runner() const = 0;
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
