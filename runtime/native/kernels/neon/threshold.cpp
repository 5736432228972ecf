#include <arm_neon.h>

#include "neon.hpp"

namespace bnnt::neon {

void threshold(const int32_t *acc, const int32_t *taus, const uint8_t *flips, int64_t channels, uint8_t *out) {
  alignas(16) static constexpr uint8_t places[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t place = vld1q_u8(places);
  for (int64_t first = 0; first < channels; first += 16) {
    uint16x4_t below[4];
    for (int i = 0; i < 4; ++i)
      below[i] = vmovn_u32(vcltq_s32(vld1q_s32(acc + first + 4 * i), vld1q_s32(taus + first + 4 * i)));
    const uint8x8_t low = vmovn_u16(vcombine_u16(below[0], below[1])),
                    high = vmovn_u16(vcombine_u16(below[2], below[3]));
    uint8x16_t bits = vandq_u8(vcombine_u8(low, high), place);
    for (int i = 0; i < 3; ++i)
      bits = vpaddq_u8(bits, bits);
    const unsigned both = vgetq_lane_u16(vreinterpretq_u16_u8(bits), 0);
    for (int64_t half = 0; half < 2 && first + 8 * half < channels; ++half) {
      const int64_t left = channels - first - 8 * half, at = first / 8 + half;
      const unsigned valid = left >= 8 ? 0xff : (1u << left) - 1;
      out[at] = static_cast<uint8_t>((both >> 8 * half ^ flips[at]) & valid);
    }
  }
}

} // namespace bnnt::neon
