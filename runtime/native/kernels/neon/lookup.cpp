#include "../lookup/lookup.hpp"

#include <arm_neon.h>

#include "neon.hpp"

namespace bnnt::neon {

namespace {

constexpr size_t entries = 32; // of a table, one for each value of 5 bits

constexpr PixelTables<entries> tables = make_pixel_tables<entries>();

struct Vector {
  using Type = uint8x16_t;
  static constexpr size_t bytes = 16, index_bits = 5, lookups = 3;
  static constexpr int pairs(int) { return 1; } // whose sums fit the registers
  static constexpr int unrolled = 1;            // steps
  static constexpr bool tails = false;          // of outputs are computed as four vectors: smaller code

  struct Key { // the table itself: it is looked up more often than made
    uint8_t entries[32];
  };
  using Table = uint8x16x2_t;

  // The first half of the outputs in the even bytes: comparisons yield bits in order.
  static constexpr size_t byte_of(size_t output) { return output < 8 ? 2 * output : 2 * (output - 8) + 1; }

  static Type zero() { return vdupq_n_u8(0); }
  static Type read(const void *from) { return vld1q_u8(static_cast<const uint8_t *>(from)); }
  static void keep(Type &x) { asm("" : "+w"(x)); }
  static Table table(const Key &key) { return {{vld1q_u8(key.entries), vld1q_u8(key.entries + 16)}}; }
  static Type look_up(Table table, Type index) { return vqtbl2q_u8(table, index); }
  static Type add8(Type a, Type b) { return vaddq_u8(a, b); }
  static Type add16(Type a, Type b) { return of(vaddq_u16(words(a), words(b))); }
  static Type sub16(Type a, Type b) { return of(vsubq_u16(words(a), words(b))); }
  static Type min16(Type a, Type b) { return of(vminq_s16(vreinterpretq_s16_u8(a), vreinterpretq_s16_u8(b))); }
  static Type shift_left_8(Type x) { return of(vshlq_n_u16(words(x), 8)); }
  static Type shift_right_8(Type x) { return of(vshrq_n_u16(words(x), 8)); }
  static Type shift_right_4(Type x) { return vshrq_n_u8(x, 4); }
  static Type high_factor() { return zero(); }
  static Type high(Type x, Type) { return shift_right_4(x); }
  static void separate(Type &s, Type &h) { s = vsubq_u8(s, vshlq_n_u8(h, 4)); } // nothing leaks: shifts are of bytes

  // Which counts are above their limits, a bit each, in the order of the outputs.
  static uint64_t above(Type even, Type even_limit, Type odd, Type odd_limit) {
    alignas(16) static constexpr uint16_t places[] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t place = vld1q_u16(places);
    const uint16x8_t first = vandq_u16(vcgtq_s16(reals(even), reals(even_limit)), place);
    const uint16x8_t second = vandq_u16(vcgtq_s16(reals(odd), reals(odd_limit)), vshlq_n_u16(place, 8));
    return vaddvq_u16(vorrq_u16(first, second));
  }

  static void put_accumulators(Type even, Type odd, int32_t base, int32_t *to) {
    const int32x4_t bases = vdupq_n_s32(base);
    const int16x4_t fours[] = {vget_low_s16(reals(even)), vget_high_s16(reals(even)), vget_low_s16(reals(odd)),
                               vget_high_s16(reals(odd))};
    for (int i = 0; i < 4; ++i)
      vst1q_s32(to + 4 * i, vsubq_s32(bases, vshll_n_s16(fours[i], 1)));
  }

private:
  static uint16x8_t words(Type x) { return vreinterpretq_u16_u8(x); }
  static int16x8_t reals(Type x) { return vreinterpretq_s16_u8(x); }
  static Type of(uint16x8_t x) { return vreinterpretq_u8_u16(x); }
  static Type of(int16x8_t x) { return vreinterpretq_u8_s16(x); }
};

// Up to eight bytes from `at` on of a tap; what is behind them is 0.
uint64_t bits_of(const uint8_t *tap, size_t bytes, size_t at) {
  const size_t left = bytes - at;
  if (left >= sizeof(uint64_t))
    return load<uint64_t>(tap + at);
  if (bytes >= sizeof(uint64_t))
    return load<uint64_t>(tap + bytes - sizeof(uint64_t)) >> 8 * (sizeof(uint64_t) - left);
  uint64_t bits = 0;
  for (size_t i = 0; i < left; ++i)
    bits |= uint64_t{tap[at + i]} << 8 * i;
  return bits;
}

BNNT_INLINE void put_table(uint64_t a, uint64_t b, uint8_t *to) {
  const uint8_t *first = tables.first + entries * (a % entries), *second = tables.second + entries * (b % entries);
  const uint8x16_t low = vorrq_u8(vld1q_u8(first), vld1q_u8(second));
  const uint8x16_t high = vorrq_u8(vld1q_u8(first + 16), vld1q_u8(second + 16));
  vst1q_u8(to, low);
  vst1q_u8(to + 16, high);
}

// Forty bits of each pixel, or the last ones of a tap, become eight tables or fewer.
void expand(const uint8_t *a, const uint8_t *b, size_t taps, size_t tap, uint8_t *to) {
  constexpr size_t part = 5, part_tables = 8;
  for (size_t t = 0; t < taps; ++t, a += tap, b += tap) {
    size_t left = lookups_of_tap<Vector>(tap);
    for (size_t at = 0; left > 0; at += part) {
      uint64_t x = bits_of(a, tap, at), y = bits_of(b, tap, at);
      if (left >= part_tables) {
        BNNT_UNROLL
        for (size_t i = 0; i < part_tables; ++i)
          put_table(x >> 5 * i, y >> 5 * i, to + entries * i);
        left -= part_tables;
        to += part_tables * entries;
        continue;
      }
      for (; left > 0; --left, x >>= 5, y >>= 5, to += entries)
        put_table(x, y, to);
    }
  }
}

} // namespace

// Fewer outputs are counted faster than tables are made.
constinit const Convolver lookup = lookup_convolver<Vector>("lookup neon", expand, least_block<Vector>);

} // namespace bnnt::neon
