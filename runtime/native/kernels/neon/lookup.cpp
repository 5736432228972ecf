#include "../lookup/lookup.hpp"

#include <arm_neon.h>

#include "neon.hpp"

namespace bnnt::neon {

namespace {

struct Vector {
  using Type = uint8x16_t;
  static constexpr size_t bytes = 16;

  // The first half of the outputs in the even bytes.
  static constexpr size_t byte_of(size_t output) { return output < 8 ? 2 * output : 2 * (output - 8) + 1; }

  static uint16x8_t wide(Type x) { return vreinterpretq_u16_u8(x); }
  static Type bytes_of(uint16x8_t x) { return vreinterpretq_u8_u16(x); }
  static int16x8_t number(Type x) { return vreinterpretq_s16_u8(x); }

  static Type zero() { return vdupq_n_u8(0); }
  static Type read(const void *from) { return vld1q_u8(static_cast<const uint8_t *>(from)); }
  static void keep(Type &) {}
  static Type table(const uint8_t *from) { return vld1q_u8(from); }
  static Type look_up(Type table, Type index) { return vqtbl1q_u8(table, index); }
  static Type add8(Type a, Type b) { return vaddq_u8(a, b); }
  static Type add16(Type a, Type b) { return bytes_of(vaddq_u16(wide(a), wide(b))); }
  static Type sub16(Type a, Type b) { return bytes_of(vsubq_u16(wide(a), wide(b))); }
  static Type min16(Type a, Type b) { return vreinterpretq_u8_s16(vminq_s16(number(a), number(b))); }
  static Type shift_left_8(Type x) { return bytes_of(vshlq_n_u16(wide(x), 8)); }
  static Type shift_right_8(Type x) { return bytes_of(vshrq_n_u16(wide(x), 8)); }
  static Type add_high(Type h, Type sum) { return vsraq_n_u8(h, sum, 4); } // of bytes: nothing leaks

  // s is low + 16 * high, modulo 256.
  static void separate(Type &s, Type &h) { s = vsubq_u8(s, vshlq_n_u8(h, 4)); }

  // Which counts are above their limits, a bit each, in the order of the outputs.
  static uint64_t above(Type even, Type even_limit, Type odd, Type odd_limit) {
    alignas(16) static constexpr uint8_t places[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const Type first = bytes_of(vcgtq_s16(number(even), number(even_limit)));
    const Type second = bytes_of(vcgtq_s16(number(odd), number(odd_limit)));
    Type sums = vandq_u8(vuzp1q_u8(first, second), vld1q_u8(places));
    for (int i = 0; i < 3; ++i)
      sums = vpaddq_u8(sums, sums);
    return vgetq_lane_u16(wide(sums), 0);
  }

  static void put_accumulators(Type even, Type odd, int32_t base, int32_t *to) {
    const int32x4_t bases = vdupq_n_s32(base);
    const int16x8_t halves[] = {number(even), number(odd)};
    for (int i = 0; i < 2; ++i) {
      vst1q_s32(to + 8 * i, vsubq_s32(bases, vshll_n_s16(vget_low_s16(halves[i]), 1)));
      vst1q_s32(to + 8 * i + 4, vsubq_s32(bases, vshll_n_s16(vget_high_s16(halves[i]), 1)));
    }
  }
};

void expand(const uint8_t *a, const uint8_t *b, size_t bytes, uint8_t *to) {
  const uint8x16_t low = vdupq_n_u8(15);
  size_t i = 0;
  for (; i + 16 <= bytes; i += 16) {
    const uint8x16_t x = vld1q_u8(a + i), y = vld1q_u8(b + i);
    const uint8x16_t first = vsliq_n_u8(vandq_u8(x, low), y, 4), second = vsriq_n_u8(vbicq_u8(y, low), x, 4);
    const uint8x16x2_t both = vzipq_u8(first, second);
    for (int half = 0; half < 2; ++half) {
      uint16_t *target = reinterpret_cast<uint16_t *>(to + 4 * i) + 16 * half;
      vst1q_u16(target, vshll_n_u8(vget_low_u8(both.val[half]), 4));
      vst1q_u16(target + 8, vshll_n_u8(vget_high_u8(both.val[half]), 4));
    }
  }
  expand_lookups(a + i, b + i, bytes - i, to + 4 * i);
}

void run(const Convolution &job) { Lookups<Vector>(job).run(); }

} // namespace

const Convolver lookup = {
    "lookup neon",      2,  4, Vector::bytes, 1, expand, lookup_weight_bytes<Vector>, pack_lookups<Vector>,
    element_of<Vector>, run};

} // namespace bnnt::neon
