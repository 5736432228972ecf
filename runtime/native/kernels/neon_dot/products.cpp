#include <arm_neon.h>

#include "../neon/neon.hpp"
#include "../tiles.hpp"

// In the source, because compilers disagree on how a flag adds an instruction to those of a CPU.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif

namespace bnnt::neon_dot {

namespace {

constexpr int vectors = 4;    // of 4 outputs: a block
constexpr size_t vector = 16; // bytes

template <int tile> struct Sums {
  int32x4_t sum[tile][vectors];

  // Lane `lane` of each pixel's vector is the word that these weights meet.
  template <int lane>
  inline __attribute__((always_inline)) void add(const int8x16_t (&x)[tile], const uint8_t *weight) {
    for (int v = 0; v < vectors; ++v) {
      const int8x16_t w = vreinterpretq_s8_u8(vld1q_u8(weight + vector * v));
      for (int p = 0; p < tile; ++p)
        sum[p][v] = vdotq_laneq_s32(sum[p][v], w, x[p], lane);
    }
  }
};

template <int tile>
void run(const Dots &job, const uint8_t *first, const uint8_t *weight, size_t output, int32_t *out) {
  Sums<tile> sums;
  for (int p = 0; p < tile; ++p)
    for (int v = 0; v < vectors; ++v)
      sums.sum[p][v] = vld1q_s32(job.bases + output + 4 * v);
  constexpr size_t step = vectors * vector; // a word of weights
  for (size_t r = 0; r < job.runs; ++r, first += job.run_step) {
    const uint8_t *x = first;
    size_t k = 0;
    int8x16_t value[tile];
    for (; k + 4 <= job.run; k += 4, x += 4 * values, weight += 4 * step) {
      for (int p = 0; p < tile; ++p)
        value[p] = vreinterpretq_s8_u8(vld1q_u8(x + static_cast<size_t>(p) * job.pixel_step));
      sums.template add<0>(value, weight);
      sums.template add<1>(value, weight + step);
      sums.template add<2>(value, weight + 2 * step);
      sums.template add<3>(value, weight + 3 * step);
    }
    if (k == job.run)
      continue;
    for (int p = 0; p < tile; ++p) { // words behind the run are another's
      const uint32_t *words = reinterpret_cast<const uint32_t *>(x + static_cast<size_t>(p) * job.pixel_step);
      uint32x4_t some = vld1q_dup_u32(words);
      if (job.run - k > 1)
        some = vld1q_lane_u32(words + 1, some, 1);
      if (job.run - k > 2)
        some = vld1q_lane_u32(words + 2, some, 2);
      value[p] = vreinterpretq_s8_u32(some);
    }
    sums.template add<0>(value, weight);
    if (job.run - k > 1)
      sums.template add<1>(value, weight + step);
    if (job.run - k > 2)
      sums.template add<2>(value, weight + 2 * step);
    weight += (job.run - k) * step;
  }
  for (int p = 0; p < tile; ++p)
    for (int v = 0; v < vectors; ++v)
      vst1q_s32(out + static_cast<size_t>(p) * job.stride + 4 * v, sums.sum[p][v]);
}

} // namespace

void products(const Dots &job) {
  in_tiles<4, 1>(job, bytes_block, values,
                 [&]<int tile>(const uint8_t *first, const uint8_t *weights, size_t output, int32_t *out) {
                   run<tile>(job, first, weights, output, out);
                 });
}

} // namespace bnnt::neon_dot

#if defined(__clang__)
#pragma clang attribute pop
#endif
