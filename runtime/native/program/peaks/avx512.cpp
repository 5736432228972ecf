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

constexpr int pairs = 4; // of sums of lookups

// Two lookups, their sum, and the two sums of kernels/lookup: 1536 MAC.
void lookups() {
  const __m512i shift = _mm512_set1_epi64(0x1020408000000000);
  struct Both {
    __m512i s, h;
  };
  Both sums[pairs] = {};
  __m512i table = _mm512_set1_epi8(5), w = table;
  for (int i = 0; i < peak_steps; ++i)
    for (Both &sum : sums) {
      __m512i t[2];
      for (__m512i &one : t) {
        asm volatile("" : BNNT_VECTOR(w));
        one = _mm512_permutexvar_epi8(w, table);
      }
      const __m512i both = _mm512_add_epi8(t[0], t[1]);
      sum.s = _mm512_add_epi8(sum.s, both);
      sum.h = _mm512_add_epi8(sum.h, _mm512_gf2p8affine_epi64_epi8(both, shift, 0));
    }
  for (Both &sum : sums)
    asm volatile("" : "+v"(sum.s), "+v"(sum.h));
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
                         {lookups, 1536.0 * pairs * peak_steps},
                         {bytes, 64.0 * count * peak_steps},
                         {real, 16.0 * count * peak_steps}};

} // namespace bnnt
