#include <immintrin.h>

#include "../tiles.hpp"
#include "avx512.hpp"

namespace bnnt::avx512 {

namespace {

constexpr size_t vector = 64; // bytes

__m512i broadcast(const uint8_t *from) { return _mm512_set1_epi32(load<int32_t>(from)); }

// `tile` pixels at a time share each weight vector that is loaded.
template <int tile> void run(const Dots &job, const uint8_t *first, const uint8_t *weight, int32_t *out) {
  __m512i sums[tile];
  for (int p = 0; p < tile; ++p)
    sums[p] = _mm512_setzero_si512();
  const size_t step = job.pixel_step;
  for (size_t r = 0; r < job.runs; ++r, first += job.run_step) {
    const uint8_t *x = first;
    for (size_t k = 0; k < job.run; ++k, x += word, weight += vector) {
      const __m512i w = _mm512_loadu_si512(weight);
      for (int p = 0; p < tile; ++p)
        sums[p] = _mm512_add_epi32(
            sums[p], _mm512_popcnt_epi32(_mm512_xor_si512(broadcast(x + static_cast<size_t>(p) * step), w)));
    }
  }
  const __m512i base = _mm512_set1_epi32(job.base);
  const __m128i shift = _mm_cvtsi32_si128(job.shift);
  for (int p = 0; p < tile; ++p)
    _mm512_storeu_si512(out + static_cast<size_t>(p) * job.stride,
                        _mm512_sub_epi32(base, _mm512_sll_epi32(sums[p], shift)));
}

} // namespace

void disagreements(const Dots &job) {
  in_tiles<8, 4, 1>(job, block, word,
                    [&]<int tile>(const uint8_t *first, const uint8_t *weights, size_t, int32_t *out) {
                      run<tile>(job, first, weights, out);
                    });
}

} // namespace bnnt::avx512
