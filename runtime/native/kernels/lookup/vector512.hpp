// Vectors of 64 bytes, without what looks up.
#pragma once

#include <immintrin.h>

#include "../../basic.hpp"

namespace bnnt {

namespace {

struct Vector512 {
  using Type = __m512i;
  static constexpr size_t bytes = 64;

  // The first half of the outputs in the even bytes: comparisons yield bits in order.
  static constexpr size_t byte_of(size_t output) { return output < 32 ? 2 * output : 2 * (output - 32) + 1; }

  static Type zero() { return _mm512_setzero_si512(); }
  static Type read(const void *from) { return _mm512_loadu_si512(from); }
  static void keep(Type &x) { asm("" : "+v"(x)); } // in a register: as an operand in memory it would be read again
  static Type add8(Type a, Type b) { return _mm512_add_epi8(a, b); }
  static Type sub8(Type a, Type b) { return _mm512_sub_epi8(a, b); }
  static Type add16(Type a, Type b) { return _mm512_add_epi16(a, b); }
  static Type sub16(Type a, Type b) { return _mm512_sub_epi16(a, b); }
  static Type min16(Type a, Type b) { return _mm512_min_epi16(a, b); }
  static Type mask(Type x, int bits) { return _mm512_and_si512(x, _mm512_set1_epi16(static_cast<int16_t>(bits))); }
  static Type shift_left_4(Type x) { return _mm512_slli_epi16(x, 4); }
  static Type shift_left_8(Type x) { return _mm512_slli_epi16(x, 8); }
  static Type shift_right_8(Type x) { return _mm512_srli_epi16(x, 8); }
  static Type shift_right_4(Type x) { return _mm512_srli_epi16(x, 4); }

  static Type high_factor() { return zero(); }
  static Type high(Type x, Type) { return shift_right_4(x); }

  // Undoes what leaked from the odd bytes into the even ones: s and h become the counts of the two pixels.
  static void separate(Type &s, Type &h) {
    s = sub8(s, mask(shift_left_4(h), 0xf0f0));
    h = sub8(h, mask(shift_right_4(s), 0x00f0));
  }

  // Which counts are above their limits, a bit each, in the order of the outputs.
  static uint64_t above(Type even, Type even_limit, Type odd, Type odd_limit) {
    return _mm512_cmpgt_epi16_mask(even, even_limit) | uint64_t{_mm512_cmpgt_epi16_mask(odd, odd_limit)} << 32;
  }

  static void put_accumulators(Type even, Type odd, int32_t base, int32_t *to) {
    const __m256i sixteens[] = {_mm512_castsi512_si256(even), _mm512_extracti64x4_epi64(even, 1),
                                _mm512_castsi512_si256(odd), _mm512_extracti64x4_epi64(odd, 1)};
    for (int i = 0; i < 4; ++i) {
      const Type count = _mm512_cvtepi16_epi32(sixteens[i]);
      _mm512_storeu_si512(to + 16 * i, _mm512_sub_epi32(_mm512_set1_epi32(base), _mm512_add_epi32(count, count)));
    }
  }
};

} // namespace

} // namespace bnnt
