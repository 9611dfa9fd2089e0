// Every single flip of a parameter, one after the other.
#pragma once
#include <cstdint>
#include <vector>

#include "walk.hpp"

// steps: (rows, columns of a group, bits), how far each flip moves its weight.
template <class Word>
void flip_weights(Walk<Word>& walk, int number, const std::int64_t* steps, std::int32_t bits,
                  std::int32_t* to) {
  auto& state = walk.state;
  const auto& product = static_cast<const Product<Word>&>(*walk.net.nodes[number]);
  const std::int32_t places = product.places, columns = product.columns;
  std::vector<Word> turned(static_cast<std::size_t>(columns) * places), low(places), high(places);
  const auto& least = state.least[number];
  const auto& most = state.most[number];
  for (std::int32_t place = 0; place < places; place++)
    for (std::int32_t column = 0; column < columns; column++)
      turned[static_cast<std::size_t>(column) * places + place] =
          state.clean[product.reads[static_cast<std::size_t>(place) * columns + column]];
  for (std::int32_t row = 0; row < product.rows; row++) {
    walk.seen.clear();
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
          *to++ = walk.untouched;
          continue;
        }
        for (std::int32_t place = 0; place < places; place++)
          state.put(number, product.out + place * product.rows + row,
                    product.moved(sums[place * product.rows], step * x[place]));
        *to++ = walk.follow(number);
      }
    }
  }
}

// codes: (channels, steps, bits), what each flip makes of its threshold.
template <class Word>
void flip_thresholds(Walk<Word>& walk, int number, const std::int64_t* codes, std::int32_t bits,
                     std::int32_t* to) {
  const auto& stairs = static_cast<const Staircase<Word>&>(*walk.net.nodes[number]);
  for (std::int32_t channel = 0; channel < stairs.channels; channel++) {
    walk.seen.clear();
    const Word* bank = stairs.thresholds.data() + static_cast<std::size_t>(channel) * stairs.steps;
    for (std::int32_t flip = 0; flip < stairs.steps * bits; flip++) {
      const auto other = static_cast<Word>(*codes++);
      walk.levels(stairs, channel, [&](Word x) {
        return stairs.level(stairs.reached(x, bank, flip / bits, other), stairs.sign[channel]);
      });
      *to++ = walk.follow(number);
    }
  }
}

template <class Word>
void flip_signs(Walk<Word>& walk, int number, std::int32_t* to) {
  const auto& stairs = static_cast<const Staircase<Word>&>(*walk.net.nodes[number]);
  for (std::int32_t channel = 0; channel < stairs.channels; channel++) {
    walk.seen.clear();
    const Word* bank = stairs.thresholds.data() + static_cast<std::size_t>(channel) * stairs.steps;
    walk.levels(stairs, channel, [&](Word x) {
      return stairs.level(stairs.reached(x, bank, -1, 0), -stairs.sign[channel]);
    });
    *to++ = walk.follow(number);
  }
}
