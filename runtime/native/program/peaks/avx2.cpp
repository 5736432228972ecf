#include <immintrin.h>

#include "peaks.hpp"

namespace bnnt {

namespace {

constexpr int count = 6; // the lookup needs registers of its own

// Three lookups, their sum, and the two sums of kernels/lookup: 768 MAC.
void lookups() {
  const __m256i by_16 = _mm256_set1_epi16(1 << 12);
  struct Both {
    __m256i s, h;
  };
  Both sums[count / 2] = {};
  __m256i table = _mm256_set1_epi8(5), w = table;
  for (int i = 0; i < peak_steps; ++i)
    for (Both &sum : sums) {
      __m256i t[3];
      for (__m256i &one : t) {
        asm volatile("" : "+x"(w));
        one = _mm256_shuffle_epi8(table, w);
      }
      const __m256i three = _mm256_add_epi8(_mm256_add_epi8(t[0], t[1]), t[2]);
      sum.s = _mm256_add_epi8(sum.s, three);
      sum.h = _mm256_add_epi8(sum.h, _mm256_mulhi_epu16(three, by_16));
    }
  for (Both &sum : sums)
    asm volatile("" : "+x"(sum.s), "+x"(sum.h));
}

void bytes() {
  on_registers<count>(
      _mm256_setzero_si256(), _mm256_set1_epi8(5), [](__m256i x, __m256i w) { return _mm256_maddubs_epi16(x, w); },
      [](__m256i sum, __m256i product) { return _mm256_add_epi16(sum, product); });
}

void real() {
  on_registers<count>(
      _mm256_setzero_ps(), _mm256_set1_ps(5), [](__m256 x, __m256 w) { return _mm256_mul_ps(x, w); },
      [](__m256 sum, __m256 product) { return _mm256_add_ps(sum, product); });
}

} // namespace

const Peaks avx2_peaks{"avx2",
                       {lookups, 768.0 * count / 2 * peak_steps},
                       {lookups, 768.0 * count / 2 * peak_steps},
                       {bytes, 32.0 * count * peak_steps},
                       {real, 8.0 * count * peak_steps}};

} // namespace bnnt
