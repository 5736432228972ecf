#include <immintrin.h>

#include "../tiles.hpp"
#include "avx512.hpp"

namespace bnnt::avx512 {

namespace {

constexpr int vectors = 2;    // of 16 outputs: a block
constexpr size_t vector = 64; // bytes

template <int tile>
void run(const Dots &job, const uint8_t *first, const uint8_t *weight, size_t output, int32_t *out) {
  __m512i sums[tile][vectors];
  for (int p = 0; p < tile; ++p)
    for (int v = 0; v < vectors; ++v)
      sums[p][v] = _mm512_loadu_si512(job.bases + output + 16 * v);
  for (size_t r = 0; r < job.runs; ++r, first += job.run_step) {
    const uint8_t *x = first;
    for (size_t k = 0; k < job.run; ++k, x += values, weight += vectors * vector) {
      __m512i w[vectors];
      for (int v = 0; v < vectors; ++v)
        w[v] = _mm512_load_si512(weight + v * vector);
      for (int p = 0; p < tile; ++p) {
        const __m512i four = _mm512_set1_epi32(load<int32_t>(x + static_cast<size_t>(p) * job.pixel_step));
        for (int v = 0; v < vectors; ++v)
          sums[p][v] = _mm512_dpbusd_epi32(sums[p][v], four, w[v]);
      }
    }
  }
  for (int p = 0; p < tile; ++p)
    for (int v = 0; v < vectors; ++v)
      _mm512_storeu_si512(out + static_cast<size_t>(p) * job.stride + 16 * v, sums[p][v]);
}

} // namespace

void products(const Dots &job) {
  in_tiles<8, 1>(job, bytes_block, values,
                 [&]<int tile>(const uint8_t *first, const uint8_t *weights, size_t output, int32_t *out) {
                   run<tile>(job, first, weights, output, out);
                 });
}

} // namespace bnnt::avx512
