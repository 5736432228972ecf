#include <immintrin.h>

#include "../tiles.hpp"
#include "avx2.hpp"

namespace bnnt::avx2 {

namespace {

constexpr int vectors = 2;        // of 8 outputs: a block
constexpr size_t vector = 32;     // bytes
constexpr size_t most_steps = 64; // of at most 2 * 255, before a sum of 16 bits overflows

// Pairs of products are summed by the instruction, pairs of these at the end.
template <int tile>
void run(const Dots &job, const uint8_t *first, const uint8_t *weight, size_t output, int32_t *out) {
  __m256i sums[tile][vectors], pairs[tile][vectors];
  for (int p = 0; p < tile; ++p)
    for (int v = 0; v < vectors; ++v) {
      sums[p][v] = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(job.bases + output + 8 * v));
      pairs[p][v] = _mm256_setzero_si256();
    }
  const auto flush = [&] {
    for (int p = 0; p < tile; ++p)
      for (int v = 0; v < vectors; ++v) {
        sums[p][v] = _mm256_add_epi32(sums[p][v], _mm256_madd_epi16(pairs[p][v], _mm256_set1_epi16(1)));
        pairs[p][v] = _mm256_setzero_si256();
      }
  };
  size_t room = most_steps;
  for (size_t r = 0; r < job.runs; ++r, first += job.run_step) {
    const uint8_t *x = first;
    for (size_t k = 0; k < job.run;) {
      const size_t end = job.run - k < room ? job.run : k + room;
      room -= end - k;
      for (; k < end; ++k, x += values, weight += vectors * vector) {
        __m256i w[vectors];
        for (int v = 0; v < vectors; ++v)
          w[v] = _mm256_load_si256(reinterpret_cast<const __m256i *>(weight + v * vector));
        for (int p = 0; p < tile; ++p) {
          const __m256i four = _mm256_set1_epi32(load<int32_t>(x + static_cast<size_t>(p) * job.pixel_step));
          for (int v = 0; v < vectors; ++v)
            pairs[p][v] = _mm256_add_epi16(pairs[p][v], _mm256_maddubs_epi16(four, w[v]));
        }
      }
      if (room > 0)
        continue;
      room = most_steps;
      flush();
    }
  }
  flush();
  for (int p = 0; p < tile; ++p)
    for (int v = 0; v < vectors; ++v)
      _mm256_storeu_si256(reinterpret_cast<__m256i *>(out + static_cast<size_t>(p) * job.stride + 8 * v), sums[p][v]);
}

} // namespace

void products(const Dots &job) {
  in_tiles<4, 1>(job, bytes_block, values,
                 [&]<int tile>(const uint8_t *first, const uint8_t *weights, size_t output, int32_t *out) {
                   run<tile>(job, first, weights, output, out);
                 });
}

} // namespace bnnt::avx2
