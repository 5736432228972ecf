#include <immintrin.h>

#include "peaks.hpp"

namespace bnnt {

namespace {

constexpr int count = 6; // the lookup needs registers of its own

void bits() {
  const __m256i low = _mm256_set1_epi8(15), counts = _mm256_set1_epi64x(0x0302020102010100);
  on_registers<count>(
      _mm256_setzero_si256(), _mm256_set1_epi8(5),
      [&](__m256i x, __m256i w) {
        const __m256i different = _mm256_xor_si256(x, w);
        const __m256i a = _mm256_shuffle_epi8(counts, _mm256_and_si256(different, low));
        const __m256i b = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(different, 4), low));
        return _mm256_add_epi8(a, b);
      },
      [](__m256i sum, __m256i product) { return _mm256_add_epi8(sum, product); });
}

void narrow() {
  on_registers<count>(
      _mm256_setzero_si256(), _mm256_set1_epi8(5), [](__m256i x, __m256i w) { return _mm256_madd_epi16(x, w); },
      [](__m256i sum, __m256i product) { return _mm256_add_epi32(sum, product); });
}

void real() {
  on_registers<count>(
      _mm256_setzero_ps(), _mm256_set1_ps(5), [](__m256 x, __m256 w) { return _mm256_mul_ps(x, w); },
      [](__m256 sum, __m256 product) { return _mm256_add_ps(sum, product); });
}

} // namespace

const Peaks avx2_peaks{
    "avx2", {bits, 256.0 * count * peak_steps}, {narrow, 16.0 * count * peak_steps}, {real, 8.0 * count * peak_steps}};

} // namespace bnnt
