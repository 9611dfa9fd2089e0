// Elements of a network, the registers that hold them, and who reads them.
#pragma once
#include <cstdint>
#include <type_traits>
#include <vector>

using Ids = std::vector<std::int32_t>;

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
