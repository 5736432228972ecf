// Test data: random from a seed, the same everywhere, and hostile.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace bnnt {

// splitmix64 (Steele, Lea, Flood 2014).
class Noise {
public:
  explicit Noise(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // In [low, high].
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(next() % static_cast<uint64_t>(high - low + 1));
  }
  size_t size(size_t low, size_t high) { return low + next() % (high - low + 1); }

private:
  uint64_t state_;
};

// What a window and a row of weights hold.
enum class Pattern { equal, opposite, checkerboard, random };
constexpr Pattern patterns[] = {Pattern::equal, Pattern::opposite, Pattern::checkerboard, Pattern::random};

// Packed signs. Against `weights` of the same pattern no bit differs, every bit does, every other one, or half of them.
inline uint8_t sign_byte(Pattern pattern, bool weights, Noise &noise) {
  switch (pattern) {
  case Pattern::equal:
    return 0xff;
  case Pattern::opposite:
    return weights ? 0xff : 0x00;
  case Pattern::checkerboard:
    return weights ? 0x55 : 0xff;
  case Pattern::random:
    return static_cast<uint8_t>(noise.next() >> 56);
  }
  return 0;
}

} // namespace bnnt
