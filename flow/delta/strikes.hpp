// What is struck, and what follows it, whatever the machine word.
#pragma once
#include <cstdint>
#include <vector>

// Changes that strike together: set k is the entries [start[k], start[k + 1]), by ascending node.
struct Sets {
  std::int64_t count;
  const std::int64_t* start;
  const std::int32_t* node;
  const std::int32_t* parameter;  // 0 weights, 1 thresholds, 2 signs, 3 the node's output
  const std::int64_t* element;    // of the parameter, row by row; of the network where it is 3
  const std::int64_t* value;      // by how much a weight moves, what else becomes of it, or what an
                                  // element is combined with by exclusive or
  bool passing(std::int64_t at) const { return parameter[at] == 3; }
};

struct Runner {
  virtual ~Runner() = default;
  virtual std::vector<std::int64_t>& logits() = 0;  // (results, classes)
  virtual void image(const std::int64_t* clean) = 0;
  virtual void weights(int node, const std::int64_t* steps, std::int32_t bits, std::int32_t* to) = 0;
  virtual void thresholds(int node, const std::int64_t* codes, std::int32_t bits,
                          std::int32_t* to) = 0;
  virtual void signs(int node, std::int32_t* to) = 0;
  virtual void sets(const Sets& sets, std::int32_t* to) = 0;
  virtual void many(const std::int64_t* rows, std::int64_t images, const Sets& sets,
                    std::int32_t* to, std::int32_t* clean) = 0;
};
