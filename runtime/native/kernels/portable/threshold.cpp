#include "portable.hpp"

namespace bnnt::portable {

void threshold(const int32_t *acc, const int32_t *taus, const uint8_t *flips, int64_t channels, uint8_t *out) {
  for (int64_t first = 0; first < channels; first += 16) {
    uint8_t below[16];
    for (int i = 0; i < 16; ++i) { // unsigned, because the channels behind the last one hold anything
      const uint32_t difference = static_cast<uint32_t>(acc[first + i]) - static_cast<uint32_t>(taus[first + i]);
      below[i] = static_cast<uint8_t>(difference >> 31);
    }
    for (int64_t half = 0; half < 2 && first + 8 * half < channels; ++half) {
      // eight bytes of 0 or 1 meet in the top byte of the product, the first one lowest
      const uint64_t bits = load<uint64_t>(below + 8 * half) * 0x0102040810204080u >> 56;
      const int64_t left = channels - first - 8 * half;
      const uint32_t valid = left >= 8 ? 0xff : (1u << left) - 1;
      const int64_t at = first / 8 + half;
      out[at] = static_cast<uint8_t>((static_cast<uint32_t>(bits) ^ flips[at]) & valid);
    }
  }
}

void maximum(int32_t *to, const int32_t *from, size_t count) {
  for (size_t i = 0; i < count; ++i)
    to[i] = to[i] > from[i] ? to[i] : from[i];
}

} // namespace bnnt::portable
