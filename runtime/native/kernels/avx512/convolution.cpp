#include "../convolution.hpp"

#include <immintrin.h>

#include "avx512.hpp"

namespace bnnt::avx512 {

namespace {

constexpr size_t vector = 64; // bytes
constexpr int tile = 8;       // pixels that share each weight vector that is loaded

size_t words_of(size_t run_bytes) { return (run_bytes + word - 1) / word; }

size_t weight_bytes(size_t outputs, size_t runs, size_t run_bytes) {
  return round_up(outputs, block) * runs * words_of(run_bytes) * word;
}

// [block][run][word][output of the block]
void pack(const SignRows &rows, uint8_t *to) {
  for (size_t first = 0; first < rows.outputs; first += block) {
    const size_t count = rows.outputs - first < block ? rows.outputs - first : block;
    for (size_t r = 0; r < rows.runs; ++r)
      for (size_t at = 0; at < words_of(rows.run_bytes) * word; ++at, to += at % word == 0 ? vector : 0) {
        if (at >= rows.run_bytes)
          continue;
        const uint8_t *from = rows.first(first, r, at), mask = rows.mask(at);
        for (size_t o = 0; o < count; ++o, from += rows.row())
          to[o * word + at % word] = *from & mask;
      }
  }
}

size_t element(size_t output) { return output; }

void expand(const uint8_t *a, const uint8_t *, size_t bytes, uint8_t *to) { __builtin_memcpy(to, a, bytes); }

__m512i widen(const int16_t *from) {
  return _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)));
}

template <int pixels>
void count_window(const Convolution &job, const Spot *spots, const uint8_t *weights, __m512i (&counts)[pixels]) {
  for (__m512i &count : counts)
    count = _mm512_setzero_si512();
  const size_t whole = job.run_bytes / word * word, rest = job.run_bytes % word;
  const auto step = [&](int p, int32_t bits, __m512i w) __attribute__((always_inline)) {
    counts[p] = _mm512_add_epi32(counts[p], _mm512_popcnt_epi32(_mm512_xor_si512(_mm512_set1_epi32(bits), w)));
  };
  for (size_t r = 0; r < job.run_count; ++r) {
    const uint8_t *x[pixels];
    for (int p = 0; p < pixels; ++p)
      x[p] = job.image + spots[p].first + job.runs[r];
    for (size_t at = 0; at < whole; at += word, weights += vector) {
      const __m512i w = _mm512_load_si512(weights);
      for (int p = 0; p < pixels; ++p)
        step(p, load<int32_t>(x[p] + at), w);
    }
    if (rest == 0)
      continue;
    const __m512i w = _mm512_load_si512(weights);
    weights += vector;
    for (int p = 0; p < pixels; ++p) // the bytes behind the run are another pixel's
      step(p, load<int32_t>(x[p] + whole) & ((1 << 8 * rest) - 1), w);
  }
}

template <int pixels> void windows(const Convolution &job, const Spot *spots, const uint8_t *weights, size_t output) {
  __m512i counts[pixels];
  count_window<pixels>(job, spots, weights, counts);
  for (int p = 0; job.borders != nullptr && p < pixels; ++p)
    if (spots[p].border[0] != 0)
      counts[p] = _mm512_add_epi32(counts[p], widen(job.borders + spots[p].border[0] * job.border_stride + output));
  const size_t left = job.outputs - output;
  if (job.limits == nullptr) {
    const __mmask16 valid = static_cast<__mmask16>(left < block ? (1u << left) - 1 : 0xffff);
    for (int p = 0; p < pixels; ++p)
      _mm512_mask_storeu_epi32(job.to + spots[p].out[0] * job.pixel + output * sizeof(int32_t), valid,
                               _mm512_sub_epi32(_mm512_set1_epi32(job.base), _mm512_add_epi32(counts[p], counts[p])));
    return;
  }
  const __m512i limits = widen(job.limits + output);
  const uint16_t flips = load<uint16_t>(job.flips + output / 8);
  const int together = job.pooled ? 4 : 1;
  for (int p = 0; p + together <= pixels; p += together) {
    __m512i least = counts[p];
    for (int other = 1; other < together; ++other)
      least = _mm512_min_epi32(least, counts[p + other]);
    const uint16_t bits = static_cast<uint16_t>(_mm512_cmpgt_epi32_mask(least, limits) ^ flips);
    __builtin_memcpy(job.to + spots[p].out[0] * job.pixel + output / 8, &bits, left > 8 ? 2 : 1);
  }
}

void run(const Convolution &job) {
  const size_t bytes = job.run_count * words_of(job.run_bytes) * vector;
  for (size_t output = 0; output < job.outputs; output += block) {
    const uint8_t *weights = job.weights + output / block * bytes;
    size_t i = 0;
    for (; i + tile <= job.count; i += tile)
      windows<tile>(job, job.spots + i, weights, output);
    for (; i + 4 <= job.count; i += 4)
      windows<4>(job, job.spots + i, weights, output);
    for (; i < job.count; ++i)
      windows<1>(job, job.spots + i, weights, output);
  }
}

} // namespace

const Convolver convolver = {"direct avx512", 1, 1, block, expand, weight_bytes, pack, element, run};

} // namespace bnnt::avx512
