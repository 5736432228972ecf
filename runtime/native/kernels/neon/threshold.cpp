#include <arm_neon.h>

#include "neon.hpp"

namespace bnnt::neon {

void threshold(const int32_t *acc, const int32_t *taus, const uint8_t *flips, int64_t channels, uint8_t *out) {
  alignas(16) static constexpr uint8_t places[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t place = vld1q_u8(places);
  for (int64_t first = 0; first < channels; first += 16) {
    uint16x8_t below[4];
    for (int i = 0; i < 4; ++i)
      below[i] = vreinterpretq_u16_u32(vcltq_s32(vld1q_s32(acc + first + 4 * i), vld1q_s32(taus + first + 4 * i)));
    const uint8x16_t low = vreinterpretq_u8_u16(vuzp1q_u16(below[0], below[1]));
    const uint8x16_t high = vreinterpretq_u8_u16(vuzp1q_u16(below[2], below[3]));
    uint8x16_t bits = vandq_u8(vuzp1q_u8(low, high), place);
    for (int i = 0; i < 3; ++i)
      bits = vpaddq_u8(bits, bits);
    const unsigned both = vgetq_lane_u16(vreinterpretq_u16_u8(bits), 0);
    if (channels - first >= 16) {
      const uint16_t answer = static_cast<uint16_t>(both ^ load<uint16_t>(flips + first / 8));
      __builtin_memcpy(out + first / 8, &answer, sizeof answer);
      continue;
    }
    const unsigned valid = both & ((1u << (channels - first)) - 1);
    out[first / 8] = static_cast<uint8_t>(valid ^ flips[first / 8]); // whose tail bits are 0
    if (channels - first > 8)
      out[first / 8 + 1] = static_cast<uint8_t>(valid >> 8 ^ flips[first / 8 + 1]);
  }
}

} // namespace bnnt::neon
