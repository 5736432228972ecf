#include <immintrin.h>

#include "avx2.hpp"

namespace bnnt::avx2 {

namespace {

__m256i read(const int32_t *from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)); }

} // namespace

void threshold(const int32_t *acc, const int32_t *taus, const uint8_t *flips, int64_t channels, uint8_t *out) {
  for (int64_t first = 0; first < channels; first += 8) {
    const __m256i below = _mm256_cmpgt_epi32(read(taus + first), read(acc + first));
    const unsigned bits = static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(below)));
    const unsigned valid = channels - first >= 8 ? 0xff : (1u << (channels - first)) - 1;
    out[first / 8] = static_cast<uint8_t>((bits ^ flips[first / 8]) & valid);
  }
}

void maximum(int32_t *to, const int32_t *from, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to + i), _mm256_max_epi32(read(to + i), read(from + i)));
  for (; i < count; ++i)
    to[i] = to[i] > from[i] ? to[i] : from[i];
}

} // namespace bnnt::avx2
