#include <immintrin.h>

#include "../tiles.hpp"
#include "../unroll.hpp"
#include "avx2.hpp"

namespace bnnt::avx2 {

namespace {

constexpr int vectors = 2;    // of 8 outputs: a block
constexpr size_t vector = 32; // bytes

// The four values of a word become two pairs of 16 bits, the even ones and the odd ones, on both sides: nothing has to
// change its place, and a sum of two products fits 32 bits.
template <int tile>
void run(const Dots &job, const uint8_t *first, const uint8_t *weight, size_t output, int32_t *out) {
  __m256i sums[tile][vectors];
  BNNT_UNROLL
  for (int i = 0; i < tile * vectors; ++i)
    sums[i / vectors][i % vectors] =
        _mm256_loadu_si256(reinterpret_cast<const __m256i *>(job.bases + output + 8 * (i % vectors)));
  for (size_t r = 0; r < job.runs; ++r, first += job.run_step) {
    const uint8_t *x = first;
    for (size_t k = 0; k < job.run; ++k, x += values, weight += vectors * vector) {
      __m256i even[vectors], odd[vectors];
      BNNT_UNROLL
      for (int v = 0; v < vectors; ++v) {
        const __m256i w = _mm256_load_si256(reinterpret_cast<const __m256i *>(weight + v * vector));
        even[v] = _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8);
        odd[v] = _mm256_srai_epi16(w, 8);
      }
      BNNT_UNROLL
      for (int p = 0; p < tile; ++p) {
        const __m256i four = _mm256_set1_epi32(load<int32_t>(x + static_cast<size_t>(p) * job.pixel_step));
        const __m256i even_values = _mm256_and_si256(four, _mm256_set1_epi16(0xff));
        const __m256i odd_values = _mm256_srli_epi16(four, 8);
        BNNT_UNROLL
        for (int v = 0; v < vectors; ++v) {
          sums[p][v] = _mm256_add_epi32(sums[p][v], _mm256_madd_epi16(even_values, even[v]));
          sums[p][v] = _mm256_add_epi32(sums[p][v], _mm256_madd_epi16(odd_values, odd[v]));
        }
      }
    }
  }
  BNNT_UNROLL
  for (int i = 0; i < tile * vectors; ++i)
    _mm256_storeu_si256(
        reinterpret_cast<__m256i *>(out + static_cast<size_t>(i / vectors) * job.stride + 8 * (i % vectors)),
        sums[i / vectors][i % vectors]);
}

} // namespace

void byte_products(const Dots &job) {
  in_tiles<4, 1>(job, bytes_block, values,
                 [&]<int tile>(const uint8_t *first, const uint8_t *weights, size_t output, int32_t *out) {
                   run<tile>(job, first, weights, output, out);
                 });
}

} // namespace bnnt::avx2
