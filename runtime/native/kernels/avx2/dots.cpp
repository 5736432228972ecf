#include <immintrin.h>

#include "../tiles.hpp"
#include "avx2.hpp"

namespace bnnt::avx2 {

namespace {

constexpr size_t vector = 32;     // bytes
constexpr size_t most_steps = 31; // of at most 8 bits each, before a byte of counts overflows

__m256i read(const void *from) { return _mm256_loadu_si256(static_cast<const __m256i *>(from)); }
void write(void *to, __m256i value) { _mm256_storeu_si256(static_cast<__m256i *>(to), value); }
__m256i broadcast(const uint8_t *from) { return _mm256_set1_epi32(load<int32_t>(from)); }

// The bits of each byte (Mula): two lookups of four bits.
__m256i popcount_bytes(__m256i x) {
  const __m256i low = _mm256_set1_epi8(15);
  const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, //
                                          0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i a = _mm256_shuffle_epi8(counts, _mm256_and_si256(x, low));
  const __m256i b = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(x, 4), low));
  return _mm256_add_epi8(a, b);
}

// Adds the four bytes of each word to the word's count and clears them.
void flush(__m256i &count, __m256i &bytes) {
  const __m256i twos = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
  count = _mm256_add_epi32(count, _mm256_madd_epi16(twos, _mm256_set1_epi16(1)));
  bytes = _mm256_setzero_si256();
}

// `tile` pixels at a time share each weight vector that is loaded.
template <int tile> void run(const Dots &job, const uint8_t *first, const uint8_t *weight, int32_t *out) {
  __m256i counts[tile], bytes[tile];
  for (int p = 0; p < tile; ++p)
    counts[p] = bytes[p] = _mm256_setzero_si256();
  const size_t step = job.pixel_step;
  size_t room = most_steps;
  for (size_t r = 0; r < job.runs; ++r, first += job.run_step) {
    const uint8_t *x = first;
    for (size_t k = 0; k < job.run;) {
      const size_t end = job.run - k < room ? job.run : k + room;
      room -= end - k;
      for (; k < end; ++k, x += word, weight += vector) {
        const __m256i w = read(weight);
        for (int p = 0; p < tile; ++p) {
          const __m256i different = _mm256_xor_si256(w, broadcast(x + static_cast<size_t>(p) * step));
          bytes[p] = _mm256_add_epi8(bytes[p], popcount_bytes(different));
        }
      }
      if (room > 0)
        continue;
      room = most_steps;
      for (int p = 0; p < tile; ++p)
        flush(counts[p], bytes[p]);
    }
  }
  const __m256i base = _mm256_set1_epi32(job.base);
  const __m128i shift = _mm_cvtsi32_si128(job.shift);
  for (int p = 0; p < tile; ++p) {
    flush(counts[p], bytes[p]);
    write(out + static_cast<size_t>(p) * job.stride, _mm256_sub_epi32(base, _mm256_sll_epi32(counts[p], shift)));
  }
}

} // namespace

void disagreements(const Dots &job) {
  in_tiles<4, 1>(job, block, word, [&]<int tile>(const uint8_t *first, const uint8_t *weights, size_t, int32_t *out) {
    run<tile>(job, first, weights, out);
  });
}

} // namespace bnnt::avx2
