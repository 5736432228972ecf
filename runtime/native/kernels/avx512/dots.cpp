#include <immintrin.h>

#include "avx512.hpp"

namespace bnnt::avx512 {

namespace {

constexpr size_t vector = 64; // bytes

__m512i broadcast(const uint8_t *from) { return _mm512_set1_epi32(load<int32_t>(from)); }

struct Disagree {
  static __m512i step(__m512i sum, __m512i x, __m512i weight) {
    return _mm512_add_epi32(sum, _mm512_popcnt_epi32(_mm512_xor_si512(x, weight)));
  }
  static __m512i finish(__m512i sum, const Dots &job) {
    const __m512i shifted = _mm512_sll_epi32(sum, _mm_cvtsi32_si128(job.shift));
    return _mm512_sub_epi32(_mm512_set1_epi32(job.base), shifted);
  }
};

// `tile` pixels at a time share each weight vector that is loaded.
template <class Each, int tile> void run(const Dots &job, const uint8_t *first, const uint8_t *weight, int32_t *out) {
  __m512i sums[tile];
  for (int p = 0; p < tile; ++p)
    sums[p] = _mm512_setzero_si512();
  const size_t step = job.pixel_step;
  for (size_t r = 0; r < job.runs; ++r, first += job.run_step) {
    const uint8_t *x = first;
    for (size_t k = 0; k < job.run; ++k, x += word, weight += vector) {
      const __m512i w = _mm512_loadu_si512(weight);
      for (int p = 0; p < tile; ++p)
        sums[p] = Each::step(sums[p], broadcast(x + static_cast<size_t>(p) * step), w);
    }
  }
  for (int p = 0; p < tile; ++p)
    _mm512_storeu_si512(out + static_cast<size_t>(p) * job.stride, Each::finish(sums[p], job));
}

template <class Each> void dots(const Dots &job) {
  for (size_t b = 0; b < job.blocks; ++b) {
    const uint8_t *weight = job.weights + b * job.runs * job.run * vector;
    int32_t *out = job.out + b * block;
    size_t p = 0;
    for (; p + 8 <= job.count; p += 8)
      run<Each, 8>(job, job.first + p * job.pixel_step, weight, out + p * job.stride);
    for (; p + 4 <= job.count; p += 4)
      run<Each, 4>(job, job.first + p * job.pixel_step, weight, out + p * job.stride);
    for (; p < job.count; ++p)
      run<Each, 1>(job, job.first + p * job.pixel_step, weight, out + p * job.stride);
  }
}

} // namespace

void disagreements(const Dots &job) { dots<Disagree>(job); }

} // namespace bnnt::avx512
