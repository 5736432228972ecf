#include <arm_neon.h>

#include "peaks.hpp"

namespace bnnt {

namespace {

constexpr int count = 12;

void bits() {
  on_registers<count>(
      vdupq_n_u8(0), vdupq_n_u8(5), [](uint8x16_t x, uint8x16_t w) { return vcntq_u8(veorq_u8(x, w)); },
      [](uint8x16_t sum, uint8x16_t product) { return vaddq_u8(sum, product); });
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
                       {nullptr, 0},
                       {bytes, 8.0 * count * peak_steps},
                       {real, 4.0 * count * peak_steps}};

} // namespace bnnt
