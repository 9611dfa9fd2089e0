// What a sum may be without moving anything behind it.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "network.hpp"

// The sums around each clean one that leave a lone staircase behind a product on its level.
template <class Word>
void guard(const Net<Word>& net, const Word* clean, const Product<Word>& product,
           std::vector<Word>& least, std::vector<Word>& most) {
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
  least.assign(clean + product.out, clean + product.out + size);
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
