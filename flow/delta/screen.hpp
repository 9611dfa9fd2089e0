// Strikes on many images: those that move nothing on clean inputs are found by many images abreast.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "walk.hpp"

constexpr std::int64_t kAbreast = 256;  // images that are screened together
constexpr std::int64_t kScreened = 1 << 25;  // elements of them that are held at most

template <class Word>
struct Screen {
  Walk<Word>& walk;
  // Of images abreast: (elements, images); by product (sums, images); (images) each.
  std::vector<Word> across{}, hit{}, total{};
  std::vector<std::vector<Word>> lows{}, highs{};
  std::vector<Ids> moving{};  // by image of the block: the sets that are followed

  // `sets` on many images. A strike is followed where it moves a value on clean inputs; elsewhere no
  // struck node ever sees others.
  void many(const std::int64_t* all, std::int64_t images, const Sets& sets, const Numbers& numbers) {
    const std::int64_t most = std::clamp<std::int64_t>(kScreened / walk.net.elements, 16, kAbreast);
    const std::int64_t width = std::min(most, (images + 15) / 16 * 16);
    walk.base = numbers.first;
    for (std::int64_t begin = 0; begin < images; begin += width) {
      const std::int64_t count = std::min(width, images - begin);
      const std::int64_t* block = all + begin * walk.net.elements;
      abreast(block, count, width);
      moving.resize(count);
      for (auto& some : moving) some.clear();
      for (std::int64_t k = 0; k < sets.count; k++) {
        std::int32_t* const to = numbers.to + k * numbers.stride + begin;
        for (std::int64_t i = 0; i < count; i++)
          to[i] = numbers.clean + static_cast<std::int32_t>(begin + i);
        screen(sets, sets.start[k], sets.start[k + 1], width);
        for (std::int64_t i = 0; i < count; i++)
          if (hit[i]) moving[i].push_back(static_cast<std::int32_t>(k));
      }
      for (std::int64_t i = 0; i < count; i++) {
        begin_image(block + i * walk.net.elements);
        walk.untouched = numbers.clean + static_cast<std::int32_t>(begin + i);
        for (std::int32_t k : moving[i]) {
          if (walk.seen.size() > kSeen) walk.seen.clear();
          numbers.to[k * numbers.stride + begin + i] =
              walk.together(sets, sets.start[k], sets.start[k + 1]);
        }
      }
    }
    walk.base = 0;
  }
  void begin_image(const std::int64_t* clean) {
    walk.image(clean);
    walk.logits.resize(walk.logits.size() - walk.net.classes);  // whoever asks has the clean ones
  }
  // Lays a block of images out element by element, with the guards of every product's sums.
  void abreast(const std::int64_t* block, std::int64_t count, std::int64_t width) {
    across.assign(static_cast<std::size_t>(walk.net.elements) * width, 0);
    lows.resize(walk.products.size()), highs.resize(walk.products.size());
    for (std::int64_t i = 0; i < count; i++) {
      begin_image(block + i * walk.net.elements);
      for (std::int64_t e = 0; e < walk.net.elements; e++) across[e * width + i] = walk.words[e];
      for (std::size_t p = 0; p < walk.products.size(); p++) {
        if (!walk.products[p]) continue;
        const auto &least = walk.state.least[p], &most = walk.state.most[p];
        lows[p].resize(least.size() * width), highs[p].resize(most.size() * width);
        for (std::size_t e = 0; e < least.size(); e++) {
          lows[p][e * width + i] = least[e];
          highs[p][e * width + i] = most[e];
        }
      }
    }
  }
  // Marks in `hit` which images of the block see entries [first, end) move anything on clean inputs.
  void screen(const Sets& sets, std::int64_t first, std::int64_t end, std::int64_t width) {
    hit.assign(width, 0);
    walk.open(sets, first, end, true);
    for (std::int64_t j = first; j < end;) {
      if (sets.passing(j)) {
        screen_element(sets, j, width);
        j++;
      } else if (const Product<Word>* product = walk.products[sets.node[j]]) {
        std::int64_t next = j + 1;
        while (next < end && sets.node[next] == sets.node[j] && sets.row[next] == sets.row[j]) next++;
        screen_row(*product, sets, j, next, width);
        j = next;
      } else {
        screen_step(*walk.staircases[sets.node[j]], sets, j, width);
        j++;
      }
    }
    walk.open(sets, first, end, false);
  }
  void screen_element(const Sets& sets, std::int64_t j, std::int64_t width) {
    Word* const mark = hit.data();
    const int number = sets.node[j];
    const Product<Word>* product = number ? walk.products[number] : nullptr;
    if (!product) {
      std::fill(mark, mark + width, Word{1});
      return;
    }
    const std::size_t at = (sets.element[j] - product->out) * width;
    const Word* clean = across.data() + sets.element[j] * width;
    const Word *low = lows[number].data() + at, *high = highs[number].data() + at;
    for (std::int64_t i = 0; i < width; i++) {
      const Word value = clean[i] ^ static_cast<Word>(sets.value[j]);
      mark[i] |= (value < low[i]) | (value > high[i]);
    }
  }
  void screen_row(const Product<Word>& product, const Sets& sets, std::int64_t from,
                  std::int64_t end, std::int64_t width) {
    const std::int32_t row = sets.row[from];
    const bool open = walk.state.open[product.number];
    Word* const mark = hit.data();
    for (std::int32_t place = 0; place < product.places; place++) {
      total.assign(width, 0);
      Word* const sum = total.data();
      for (std::int64_t j = from; j < end; j++) {
        const auto step = static_cast<Word>(sets.value[j]);
        const std::size_t slot = static_cast<std::size_t>(place) * product.columns + sets.column[j];
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
};
