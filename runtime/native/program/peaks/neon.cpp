#include <arm_neon.h>

#include "peaks.hpp"

namespace bnnt {

namespace {

constexpr int count = 12, pairs = 6; // sums; those of lookups come in pairs

void bits() {
  on_registers<count>(
      vdupq_n_u8(0), vdupq_n_u8(5), [](uint8x16_t x, uint8x16_t w) { return vcntq_u8(veorq_u8(x, w)); },
      [](uint8x16_t sum, uint8x16_t product) { return vaddq_u8(sum, product); });
}

// Three lookups, their sum, and the two sums of kernels/lookup: 480 MAC.
void lookups() {
  uint8x16_t s[pairs], h[pairs];
  for (int i = 0; i < pairs; ++i)
    s[i] = h[i] = vdupq_n_u8(0);
  const uint8x16x2_t table = {{vdupq_n_u8(5), vdupq_n_u8(5)}};
  uint8x16_t w = table.val[0];
  for (int i = 0; i < peak_steps; ++i)
    for (int p = 0; p < pairs; ++p) {
      uint8x16_t t[3];
      for (uint8x16_t &one : t) {
        asm volatile("" : BNNT_VECTOR(w));
        one = vqtbl2q_u8(table, w);
      }
      const uint8x16_t three = vaddq_u8(vaddq_u8(t[0], t[1]), t[2]);
      s[p] = vaddq_u8(s[p], three);
      h[p] = vsraq_n_u8(h[p], three, 4);
    }
  for (int p = 0; p < pairs; ++p)
    asm volatile("" : BNNT_VECTOR(s[p]), BNNT_VECTOR(h[p]));
}

void bytes() {
  on_registers<count>(
      vdupq_n_s16(0), vdupq_n_s16(5), [](int16x8_t x, int16x8_t w) { return vmulq_s16(x, w); },
      [](int16x8_t sum, int16x8_t product) { return vaddq_s16(sum, product); }); // compilers make one mla of both
}

void real() {
  on_registers<count>(
      vdupq_n_f32(0), vdupq_n_f32(5), [](float32x4_t x, float32x4_t w) { return vmulq_f32(x, w); },
      [](float32x4_t sum, float32x4_t product) { return vaddq_f32(sum, product); });
}

} // namespace

const Peaks neon_peaks{"neon",
                       {bits, 128.0 * count * peak_steps},
                       {lookups, 480.0 * pairs * peak_steps},
                       {bytes, 8.0 * count * peak_steps},
                       {real, 4.0 * count * peak_steps}};

} // namespace bnnt
