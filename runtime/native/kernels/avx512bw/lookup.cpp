#include "../lookup/lookup.hpp"
#include "../lookup/vector512.hpp"

#include "avx512bw.hpp"

namespace bnnt::avx512bw {

namespace {

struct Vector : Vector512 {
  static constexpr size_t index_bits = 4, lookups = 3;
  static constexpr int pairs(int vectors) { return 4 / vectors; } // whose sums fit the registers
  static constexpr int unrolled = 2;                              // steps
  static constexpr bool tails = true;                             // of outputs have fewer vectors than four
  using Key = uint16_t;                                           // the offset of a table
  using Table = Type;

  static Type table(Key key) {
    return _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i *>(lookup_tables.entries + key)));
  }
  static Type look_up(Type table, Type index) { return _mm512_shuffle_epi8(table, index); }
};

void expand(const uint8_t *a, const uint8_t *b, size_t taps, size_t tap, uint8_t *to) {
  const size_t bytes = taps * tap;
  const __m256i low = _mm256_set1_epi16(15), high = _mm256_set1_epi16(15 << 4);
  size_t i = 0;
  for (; i + 16 <= bytes; i += 16) {
    const __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(a + i)));
    const __m256i y = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(b + i)));
    const __m256i first = _mm256_or_si256(_mm256_and_si256(x, low), _mm256_slli_epi16(_mm256_and_si256(y, low), 4));
    const __m256i second = _mm256_or_si256(_mm256_srli_epi16(x, 4), _mm256_and_si256(y, high));
    // offsets of tables: 16 bytes each; the second of a byte behind the first
    const __m512i both = _mm512_or_si512(_mm512_cvtepu16_epi32(_mm256_slli_epi16(first, 4)),
                                         _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 20));
    _mm512_storeu_si512(to + 4 * i, both);
  }
  expand_lookups(a + i, b + i, bytes - i, to + 4 * i);
}

} // namespace

constinit const Convolver convolver = lookup_convolver<Vector>("lookup avx512bw", expand, 0);

} // namespace bnnt::avx512bw
