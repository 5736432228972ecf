#include "../words.hpp"

#include <immintrin.h>

#include "avx512.hpp"

namespace bnnt::avx512 {

namespace {

constexpr size_t vector = 64; // bytes

void expand(const uint8_t *a, const uint8_t *, size_t taps, size_t tap, uint8_t *to) {
  __builtin_memcpy(to, a, taps * tap);
}

__m512i widen(const int16_t *from) {
  return _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)));
}

// Counts of `pixels` windows and `vectors` blocks of outputs, `bytes` of weights each.
template <int pixels, int vectors> void count_windows(const Convolution &job, const Spot *spots, const uint8_t *weights,
                                                      size_t bytes, __m512i (&counts)[pixels][vectors]) {
  for (auto &pixel : counts)
    for (__m512i &count : pixel)
      count = _mm512_setzero_si512();
  const size_t whole = job.run_bytes / word * word, rest = job.run_bytes % word;
  __m512i w[vectors];
  const auto next = [&]() __attribute__((always_inline)) {
    for (int v = 0; v < vectors; ++v)
      w[v] = _mm512_load_si512(weights + static_cast<size_t>(v) * bytes);
    weights += vector;
  };
  const auto add = [&](int p, __m512i x) __attribute__((always_inline)) {
    for (int v = 0; v < vectors; ++v)
      counts[p][v] = _mm512_add_epi32(counts[p][v], _mm512_popcnt_epi32(_mm512_xor_si512(x, w[v])));
  };
  for (size_t r = 0; r < job.run_count; ++r) {
    const uint8_t *x[pixels];
    for (int p = 0; p < pixels; ++p)
      x[p] = job.image + spots[p].first + job.runs[r];
    for (size_t at = 0; at < whole; at += word) {
      next();
      for (int p = 0; p < pixels; ++p)
        add(p, _mm512_set1_epi32(load<int32_t>(x[p] + at)));
    }
    if (rest == 0)
      continue;
    next();
    for (int p = 0; p < pixels; ++p) // the bytes behind the run are another pixel's
      add(p, _mm512_set1_epi32(load<int32_t>(x[p] + whole) & ((1 << 8 * rest) - 1)));
  }
}

// The counts of `pixels` windows become what the layer yields.
template <int pixels, int vectors> struct Finish {
  const Convolution &job;
  const Spot *spots;
  size_t output;
  size_t left; // outputs, beginning with these

  void put_accumulators(const __m512i (&counts)[pixels][vectors]) const {
    const __m512i base = _mm512_set1_epi32(job.base);
    for (int p = 0; p < pixels; ++p)
      for (int v = 0; v < vectors; ++v) {
        const size_t first = static_cast<size_t>(v) * block, count = left > first ? left - first : 0;
        const __mmask16 valid = static_cast<__mmask16>(count < block ? (1u << count) - 1 : 0xffff);
        _mm512_mask_storeu_epi32(job.to + spots[p].out[0] * job.pixel + (output + first) * sizeof(int32_t), valid,
                                 _mm512_sub_epi32(base, _mm512_add_epi32(counts[p][v], counts[p][v])));
      }
  }

  // Four windows behind each other are one pixel where `together` is 4.
  template <int together> void put_bits(const __m512i (&counts)[pixels][vectors]) const {
    __m512i limits[vectors];
    for (int v = 0; v < vectors; ++v)
      limits[v] = widen(job.limits + output + static_cast<size_t>(v) * block);
    const uint64_t flips = load<uint64_t>(job.flips + output / 8);
    for (int p = 0; p + together <= pixels; p += together) {
      uint64_t bits = 0;
      for (int v = 0; v < vectors; ++v) {
        __m512i least = counts[p][v];
        for (int other = 1; other < together; ++other)
          least = _mm512_min_epi32(least, counts[p + other][v]);
        bits |= uint64_t{_mm512_cmpgt_epi32_mask(least, limits[v])} << 16 * v;
      }
      bits ^= flips;
      uint8_t *to = job.to + spots[p].out[0] * job.pixel + output / 8;
      if (left >= vectors * block)
        __builtin_memcpy(to, &bits, vectors * block / 8);
      else
        for (size_t i = 0; i < (left + 7) / 8; ++i)
          to[i] = static_cast<uint8_t>(bits >> 8 * i);
    }
  }
};

template <int pixels, int vectors>
void windows(const Convolution &job, const Spot *spots, const uint8_t *weights, size_t bytes, size_t output) {
  __m512i counts[pixels][vectors];
  count_windows<pixels, vectors>(job, spots, weights, bytes, counts);
  for (int p = 0; job.borders != nullptr && p < pixels; ++p)
    for (int v = 0; spots[p].border[0] != 0 && v < vectors; ++v) {
      const int16_t *lacks = job.borders + spots[p].border[0] * job.border_stride + output;
      counts[p][v] = _mm512_add_epi32(counts[p][v], widen(lacks + static_cast<size_t>(v) * block));
    }
  const Finish<pixels, vectors> finish{job, spots, output, job.outputs - output};
  if (job.limits == nullptr)
    return finish.put_accumulators(counts);
  if constexpr (pixels % 4 == 0)
    if (job.pooled)
      return finish.template put_bits<4>(counts);
  finish.template put_bits<1>(counts);
}

// Tiles of `pixels` windows; pooled ones come in fours.
template <int pixels, int vectors>
void blocks(const Convolution &job, const uint8_t *weights, size_t bytes, size_t output) {
  size_t i = 0;
  for (; (pixels % 4 == 0 || !job.pooled) && i + pixels <= job.count; i += pixels)
    windows<pixels, vectors>(job, job.spots + i, weights, bytes, output);
  for (; i + 4 <= job.count; i += 4)
    windows<4, vectors>(job, job.spots + i, weights, bytes, output);
  for (; i < job.count; ++i)
    windows<1, vectors>(job, job.spots + i, weights, bytes, output);
}

void run(const Convolution &job) {
  const size_t bytes = job.run_count * words_of<word>(job.run_bytes) * vector; // of a block
  // as many sums as hide the latency and fit the registers; the more outputs, the less a window's own work counts
  for (size_t output = 0; output < job.outputs;) {
    const size_t left = job.outputs - output;
    const uint8_t *weights = job.weights + output / block * bytes;
    if (left > 3 * block) {
      blocks<6, 4>(job, weights, bytes, output);
      output += 4 * block;
    } else if (left > block) {
      blocks<8, 2>(job, weights, bytes, output);
      output += 2 * block;
    } else {
      blocks<8, 1>(job, weights, bytes, output);
      output += block;
    }
  }
}

} // namespace

const Convolver direct = {.name = "direct avx512",
                          .pixels = 1,
                          .expanded = expanded_words<1>,
                          .block = block,
                          .apart = 4 * block,
                          .unit = 1,
                          .expand = expand,
                          .weight_bytes = word_weight_bytes<word, block>,
                          .pack = pack_words<word, block>,
                          .element = same_element,
                          .run = run};

} // namespace bnnt::avx512
