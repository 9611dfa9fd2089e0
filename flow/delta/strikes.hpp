// What is struck, and what follows it, whatever the machine word.
#pragma once
#include <cstdint>

// Changes that strike together: set k is the entries [start[k], start[k + 1]), by ascending node.
struct Sets {
  std::int64_t count, ordered;  // whether the weights of a set come row by row
  const std::int64_t* start;
  const std::int32_t* node;
  const std::int32_t* parameter;  // 0 weights, 1 thresholds, 2 signs, 3 the node's output
  const std::int64_t* element;    // of the parameter, row by row; of the network where it is 3
  const std::int64_t* value;      // by how much a weight moves, what else becomes of it, or what an
                                  // element is combined with by exclusive or
  const std::int32_t *row, *column;  // of the product that a weight belongs to
  bool passing(std::int64_t at) const { return parameter[at] == 3; }
};

// Where results of sets on many images go: set k on image i is to[k * stride + i], the number of a
// row of logits. What a set leaves as it was is clean + i, others follow each other from `first` on.
struct Numbers {
  std::int32_t* to;
  std::int64_t stride;
  std::int32_t clean, first;
};

struct Runner {
  virtual ~Runner() = default;
  virtual std::int64_t results() const = 0;  // numbers in the logits of all results
  virtual void take(std::int64_t* to) = 0;   // the logits, (results, classes), and forgets them
  virtual void image(const std::int64_t* clean) = 0;
  virtual void weights(int node, const std::int64_t* steps, std::int32_t bits, std::int32_t* to) = 0;
  virtual void thresholds(int node, const std::int64_t* codes, std::int32_t bits,
                          std::int32_t* to) = 0;
  virtual void signs(int node, std::int32_t* to) = 0;
  virtual void sets(const Sets& sets, std::int32_t* to) = 0;
  virtual void many(const std::int64_t* rows, std::int64_t images, const Sets& sets,
                    const Numbers& numbers) = 0;
};
