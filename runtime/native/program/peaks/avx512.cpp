#include <immintrin.h>

#include "peaks.hpp"

namespace bnnt {

namespace {

constexpr int count = 12;

__m512i add(__m512i sum, __m512i product) { return _mm512_add_epi32(sum, product); }

void bits() {
  on_registers<count>(
      _mm512_setzero_si512(), _mm512_set1_epi8(5),
      [](__m512i x, __m512i w) { return _mm512_popcnt_epi32(_mm512_xor_si512(x, w)); }, add);
}

void bytes() {
  __m512i sums[count], x = _mm512_set1_epi8(5), w = x;
  for (__m512i &sum : sums)
    sum = _mm512_setzero_si512();
  for (int i = 0; i < peak_steps; ++i)
    for (__m512i &sum : sums) {
      asm volatile("" : BNNT_VECTOR(w));
      sum = _mm512_dpbusd_epi32(sum, x, w);
    }
  for (__m512i &sum : sums)
    asm volatile("" : BNNT_VECTOR(sum));
}

void real() {
  on_registers<count>(
      _mm512_setzero_ps(), _mm512_set1_ps(5), [](__m512 x, __m512 w) { return _mm512_mul_ps(x, w); },
      [](__m512 sum, __m512 product) { return _mm512_add_ps(sum, product); });
}

} // namespace

const Peaks avx512_peaks{"avx512",
                         {bits, 512.0 * count * peak_steps},
                         {bytes, 64.0 * count * peak_steps},
                         {real, 16.0 * count * peak_steps}};

} // namespace bnnt
