#include <arm_neon.h>

#include "neon.hpp"

namespace bnnt::neon {

namespace {

constexpr int vectors = 4;         // of 8 outputs: a block
constexpr size_t vector = 16;      // bytes
constexpr size_t most_steps = 128; // of at most 2 * 255, before a sum of 16 bits overflows

// Weights that are -1 are masks: the sum is that of all values minus twice that of the kept ones. Behind a run of odd
// length weights are 0, and the value there is none.
template <int tile>
void run(const Dots &job, const uint8_t *first, const uint8_t *weight, size_t output, int32_t *out) {
  uint16x8_t kept[tile][vectors], all[tile];
  int32_t *const row = out;
  const auto clear = [&] {
    for (int p = 0; p < tile; ++p) {
      all[p] = vdupq_n_u16(0);
      for (int v = 0; v < vectors; ++v)
        kept[p][v] = vdupq_n_u16(0);
    }
  };
  const auto flush = [&] {
    for (int p = 0; p < tile; ++p)
      for (int v = 0; v < vectors; ++v) {
        int32_t *to = row + static_cast<size_t>(p) * job.stride + 8 * v;
        const uint16x8_t minus = kept[p][v];
        const uint32x4_t low = vsubl_u16(vget_low_u16(all[p]), vget_low_u16(minus));
        const uint32x4_t high = vsubl_u16(vget_high_u16(all[p]), vget_high_u16(minus));
        const int32x4_t first_four = vreinterpretq_s32_u32(vsubw_u16(low, vget_low_u16(minus)));
        const int32x4_t last_four = vreinterpretq_s32_u32(vsubw_u16(high, vget_high_u16(minus)));
        vst1q_s32(to, vaddq_s32(vld1q_s32(to), first_four));
        vst1q_s32(to + 4, vaddq_s32(vld1q_s32(to + 4), last_four));
      }
    clear();
  };
  for (int p = 0; p < tile; ++p)
    __builtin_memcpy(row + static_cast<size_t>(p) * job.stride, job.bases + output, bytes_block * sizeof *row);
  clear();
  size_t room = most_steps;
  for (size_t r = 0; r < job.runs; ++r, first += job.run_step) {
    const uint8_t *x = first;
    for (size_t k = 0; k < job.run; ++k, x += values, weight += vectors * vector) {
      int8x16_t w[vectors];
      for (int v = 0; v < vectors; ++v)
        w[v] = vreinterpretq_s8_u8(vld1q_u8(weight + v * vector));
      const uint8x16_t there = vtstq_s8(w[0], w[0]);
      for (int p = 0; p < tile; ++p) {
        const uint8x16_t two =
            vreinterpretq_u8_u16(vdupq_n_u16(load<uint16_t>(x + static_cast<size_t>(p) * job.pixel_step)));
        all[p] = vpadalq_u8(all[p], vandq_u8(two, there));
        for (int v = 0; v < vectors; ++v)
          kept[p][v] = vpadalq_u8(kept[p][v], vandq_u8(two, vcltzq_s8(w[v])));
      }
      if (--room == 0) {
        room = most_steps;
        flush();
      }
    }
  }
  flush();
}

} // namespace

void products(const Dots &job) {
  constexpr size_t tile = 4;
  for (size_t b = 0; b < job.blocks; ++b) {
    const uint8_t *weight = job.weights + b * job.runs * job.run * vectors * vector;
    const size_t output = b * bytes_block;
    size_t p = 0;
    for (; p + tile <= job.count; p += tile)
      run<tile>(job, job.first + p * job.pixel_step, weight, output, job.out + output + p * job.stride);
    for (; p < job.count; ++p)
      run<1>(job, job.first + p * job.pixel_step, weight, output, job.out + output + p * job.stride);
  }
}

} // namespace bnnt::neon
