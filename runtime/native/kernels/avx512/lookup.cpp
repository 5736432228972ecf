#include "../lookup/lookup.hpp"
#include "../lookup/vector512.hpp"

#include "avx512.hpp"

namespace bnnt::avx512 {

namespace {

constexpr size_t entries = 64; // of a table, one for each value of 6 bits

constexpr PixelTables<entries> tables = make_pixel_tables<entries>();

struct Vector : Vector512 {
  static constexpr size_t index_bits = 6, lookups = 2;
  static constexpr int pairs(int vectors) { return vectors == 1 ? 4 : 2; } // whose sums fit the registers
  static constexpr int unrolled = 2;                                       // steps
  static constexpr bool tails = true;                                      // of outputs have fewer vectors than four

  struct Key { // offsets of tables
    uint16_t first, second;
  };
  using Table = Type;

  static Type table(const Key &key) {
    return add8(_mm512_load_si512(tables.first + key.first), _mm512_load_si512(tables.second + key.second));
  }
  static Type look_up(Type table, Type index) { return _mm512_permutexvar_epi8(index, table); }

  // Shifts of bytes, as products with matrices of bits: nothing leaks.
  static Type shift_right_4(Type x) {
    return _mm512_gf2p8affine_epi64_epi8(x, _mm512_set1_epi64(0x1020408000000000), 0);
  }
  static Type high(Type x, Type) { return shift_right_4(x); }
  static void separate(Type &s, Type &h) {
    s = sub8(s, _mm512_gf2p8affine_epi64_epi8(h, _mm512_set1_epi64(0x0000000001020408), 0));
  }
};

// A qword has three bytes of each pixel, four times 6 bits: which bytes of 32 of the first and 32 of the second, and
// which bits of it.
struct Arrangement {
  alignas(64) uint8_t bytes[64], bits[64];
};

constexpr Arrangement arrange() {
  Arrangement how = {};
  for (unsigned i = 0; i < 64; ++i) {
    const unsigned qword = i / 8, byte = i % 8;
    how.bytes[i] = static_cast<uint8_t>(32 * (byte / 4) + 3 * qword + byte % 4 % 3);
    how.bits[i] = static_cast<uint8_t>(32 * (byte % 2) + 6 * (byte / 2));
  }
  return how;
}

constexpr Arrangement arrangement = arrange();

// Up to 24 bytes of a tap of each pixel become up to 32 keys.
BNNT_INLINE void expand_part(const uint8_t *a, const uint8_t *b, __mmask32 bytes, uint32_t keys, uint8_t *to) {
  const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_maskz_loadu_epi8(bytes, a)),
                                          _mm256_maskz_loadu_epi8(bytes, b), 1);
  const __m512i arranged = _mm512_permutexvar_epi8(_mm512_load_si512(arrangement.bytes), both);
  const __m512i sixes = _mm512_and_si512(_mm512_multishift_epi64_epi8(_mm512_load_si512(arrangement.bits), arranged),
                                         _mm512_set1_epi8(63));
  const __m512i front = _mm512_slli_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(sixes)), 6);
  _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(keys), front);
  if (keys >> 16 == 0)
    return;
  const __m512i back = _mm512_slli_epi16(_mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(sixes, 1)), 6);
  _mm512_mask_storeu_epi32(to + 64, static_cast<__mmask16>(keys >> 16), back);
}

void expand(const uint8_t *a, const uint8_t *b, size_t taps, size_t tap, uint8_t *to) {
  constexpr size_t part = 24, part_keys = 32;
  const size_t whole = (tap - 1) / part * part, rest = tap - whole;
  const __mmask32 bytes = (1u << rest) - 1;
  const uint32_t keys = 0xffffffff >> (part_keys - lookups_of_tap<Vector>(rest));
  for (size_t t = 0; t < taps; ++t, a += tap, b += tap) {
    for (size_t at = 0; at < whole; at += part, to += part_keys * sizeof(Vector::Key))
      expand_part(a + at, b + at, 0xffffff, 0xffffffff, to);
    expand_part(a + whole, b + whole, bytes, keys, to);
    to += lookups_of_tap<Vector>(rest) * sizeof(Vector::Key);
  }
}

} // namespace

// Fewer outputs are counted faster than tables are made.
constinit const Convolver lookup = lookup_convolver<Vector>("lookup avx512", expand, 2 * Vector::bytes);

} // namespace bnnt::avx512
