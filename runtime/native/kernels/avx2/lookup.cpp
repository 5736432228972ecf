#include "../lookup/lookup.hpp"

#include <immintrin.h>

#include "avx2.hpp"

namespace bnnt::avx2 {

namespace {

struct Vector {
  using Type = __m256i;
  static constexpr size_t bytes = 32, index_bits = 4, lookups = 3;
  static constexpr int pairs(int vectors) { return 4 / vectors; } // whose sums fit the registers
  static constexpr int unrolled = 2;                              // steps
  static constexpr bool tails = true;                             // of outputs have fewer vectors than four
  using Key = uint16_t;                                           // the offset of a table
  using Table = Type;

  // So that packs and movemask of the counts give the outputs in order: the first eight of a lane in the even bytes.
  static constexpr size_t byte_of(size_t output) {
    const size_t in_lane = output % 16;
    return output / 16 * 16 + (in_lane < 8 ? 2 * in_lane : 2 * (in_lane - 8) + 1);
  }

  static Type zero() { return _mm256_setzero_si256(); }
  static Type read(const void *from) { return _mm256_loadu_si256(static_cast<const Type *>(from)); }
  static void keep(Type &x) { asm("" : "+x"(x)); } // in a register: as an operand in memory it would be read again
  static Type table(Key key) {
    return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i *>(lookup_tables.entries + key)));
  }
  static Type look_up(Type table, Type index) { return _mm256_shuffle_epi8(table, index); }
  static Type add8(Type a, Type b) { return _mm256_add_epi8(a, b); }
  static Type sub8(Type a, Type b) { return _mm256_sub_epi8(a, b); }
  static Type add16(Type a, Type b) { return _mm256_add_epi16(a, b); }
  static Type sub16(Type a, Type b) { return _mm256_sub_epi16(a, b); }
  static Type min16(Type a, Type b) { return _mm256_min_epi16(a, b); }
  static Type mask(Type x, int bits) { return _mm256_and_si256(x, _mm256_set1_epi16(static_cast<int16_t>(bits))); }
  static Type shift_left_4(Type x) { return _mm256_slli_epi16(x, 4); }
  static Type shift_left_8(Type x) { return _mm256_slli_epi16(x, 8); }
  static Type shift_right_8(Type x) { return _mm256_srli_epi16(x, 8); }
  static Type shift_right_4(Type x) { return _mm256_srli_epi16(x, 4); }
  // The same as a product, because shifts take turns with lookups where products do not.
  static Type high_factor() { return _mm256_set1_epi16(1 << 12); }
  static Type high(Type x, Type factor) { return _mm256_mulhi_epu16(x, factor); }

  // Undoes what leaked from the odd bytes into the even ones: s and h become the counts of the two pixels.
  static void separate(Type &s, Type &h) {
    s = sub8(s, mask(shift_left_4(h), 0xf0f0));
    h = sub8(h, mask(shift_right_4(s), 0x00f0));
  }

  // Which counts are above their limits, a bit each, in the order of the outputs.
  static uint64_t above(Type even, Type even_limit, Type odd, Type odd_limit) {
    const Type both = _mm256_packs_epi16(_mm256_cmpgt_epi16(even, even_limit), _mm256_cmpgt_epi16(odd, odd_limit));
    return static_cast<uint32_t>(_mm256_movemask_epi8(both));
  }

  static void put_accumulators(Type even, Type odd, int32_t base, int32_t *to) {
    const __m128i eights[] = {_mm256_castsi256_si128(even), _mm256_castsi256_si128(odd),
                              _mm256_extracti128_si256(even, 1), _mm256_extracti128_si256(odd, 1)};
    for (int i = 0; i < 4; ++i) {
      const Type count = _mm256_cvtepi16_epi32(eights[i]);
      _mm256_storeu_si256(reinterpret_cast<Type *>(to + 8 * i),
                          _mm256_sub_epi32(_mm256_set1_epi32(base), _mm256_add_epi32(count, count)));
    }
  }
};

void expand(const uint8_t *a, const uint8_t *b, size_t taps, size_t tap, uint8_t *to) {
  const size_t bytes = taps * tap;
  const __m128i low = _mm_set1_epi8(15);
  size_t i = 0;
  for (; i + 16 <= bytes; i += 16) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i *>(a + i));
    const __m128i y = _mm_loadu_si128(reinterpret_cast<const __m128i *>(b + i));
    const __m128i first = _mm_or_si128(_mm_and_si128(x, low), _mm_andnot_si128(low, _mm_slli_epi16(y, 4)));
    const __m128i second = _mm_or_si128(_mm_and_si128(_mm_srli_epi16(x, 4), low), _mm_andnot_si128(low, y));
    const __m256i front = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(first, second));
    const __m256i back = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(first, second));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to + 4 * i), _mm256_slli_epi16(front, 4));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to + 4 * i + 32), _mm256_slli_epi16(back, 4));
  }
  expand_lookups(a + i, b + i, bytes - i, to + 4 * i);
}

} // namespace

constinit const Convolver convolver = lookup_convolver<Vector>("lookup avx2", expand, 0);

} // namespace bnnt::avx2
