#include <immintrin.h>

#include "avx512.hpp"

namespace bnnt::avx512 {

void threshold(const int32_t *acc, const int32_t *taus, const uint8_t *flips, int64_t channels, uint8_t *out) {
  int64_t first = 0;
  for (; first + 16 <= channels; first += 16) {
    const __mmask16 below = _mm512_cmplt_epi32_mask(_mm512_loadu_si512(acc + first), _mm512_loadu_si512(taus + first));
    const uint16_t bits = static_cast<uint16_t>(below ^ load<uint16_t>(flips + first / 8));
    __builtin_memcpy(out + first / 8, &bits, sizeof bits);
  }
  if (first == channels)
    return;
  const __mmask16 valid = static_cast<__mmask16>((1u << (channels - first)) - 1);
  const __m512i x = _mm512_maskz_loadu_epi32(valid, acc + first), tau = _mm512_maskz_loadu_epi32(valid, taus + first);
  const unsigned below = _mm512_mask_cmplt_epi32_mask(valid, x, tau);
  for (int64_t at = first / 8; at * 8 < channels; ++at)
    out[at] = static_cast<uint8_t>((below >> (8 * at - first)) ^ flips[at]);
}

void maximum(int32_t *to, const int32_t *from, size_t count) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16)
    _mm512_storeu_si512(to + i, _mm512_max_epi32(_mm512_loadu_si512(to + i), _mm512_loadu_si512(from + i)));
  const __mmask16 rest = static_cast<__mmask16>((1u << (count - i)) - 1);
  const __m512i largest =
      _mm512_max_epi32(_mm512_maskz_loadu_epi32(rest, to + i), _mm512_maskz_loadu_epi32(rest, from + i));
  _mm512_mask_storeu_epi32(to + i, rest, largest);
}

} // namespace bnnt::avx512
