// What became of changes that have been seen before.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

using Key = std::vector<std::int64_t>;  // elements with their values

// Results by key. Slots of an earlier round count as empty, so that forgetting costs nothing; keys
// lie one behind the other, so that remembering allocates nothing.
class Memo {
 public:
  std::size_t size() const { return used; }
  void clear() {
    used = 0;
    words.clear();
    if (++round == 0) slots.assign(slots.size(), Slot{}), round = 1;
  }
  // The result of `key`, or -1.
  std::int32_t find(const Key& key) const {
    const Slot& slot = slots[place(key, hash(key))];
    return slot.round == round ? slot.found : -1;
  }
  // Remembers a key that is not there.
  void add(const Key& key, std::int32_t found) {
    if (2 * used >= slots.size()) grow();
    const std::uint64_t sum = hash(key);
    const Slot made{sum, static_cast<std::uint32_t>(words.size()),
                    static_cast<std::uint32_t>(key.size()), round, found};
    slots[place(key, sum)] = made;
    words.insert(words.end(), key.begin(), key.end());
    used++;
  }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t at = 0, length = 0, round = 0;
    std::int32_t found = 0;
  };
  std::vector<Slot> slots = std::vector<Slot>(1 << 10);  // a power of two
  Key words;
  std::size_t used = 0;
  std::uint32_t round = 1;

  static std::uint64_t hash(const Key& key) {
    std::uint64_t sum = key.size();
    for (std::int64_t word : key) {
      sum ^= static_cast<std::uint64_t>(word) + 0x9e3779b97f4a7c15u + (sum << 6) + (sum >> 2);
      sum *= 0xff51afd7ed558ccdu;
      sum ^= sum >> 32;
    }
    return sum;
  }
  // Where `key` is, or would be.
  std::size_t place(const Key& key, std::uint64_t sum) const {
    std::size_t at = sum & (slots.size() - 1);
    while (slots[at].round == round && !same(slots[at], key, sum)) at = (at + 1) & (slots.size() - 1);
    return at;
  }
  bool same(const Slot& slot, const Key& key, std::uint64_t sum) const {
    return slot.hash == sum && slot.length == key.size() &&
           std::equal(key.begin(), key.end(), words.begin() + slot.at);
  }
  void grow() {
    std::vector<Slot> old(2 * slots.size());
    old.swap(slots);
    for (const Slot& slot : old) {
      if (slot.round != round) continue;
      std::size_t at = slot.hash & (slots.size() - 1);
      while (slots[at].round == round) at = (at + 1) & (slots.size() - 1);
      slots[at] = slot;
    }
  }
};
