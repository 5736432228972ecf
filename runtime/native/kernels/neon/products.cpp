#include <arm_neon.h>

#include "../tiles.hpp"
#include "../unroll.hpp"
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
  const auto clear = [&]() __attribute__((always_inline)) {
    BNNT_UNROLL
    for (int p = 0; p < tile; ++p) {
      all[p] = vdupq_n_u16(0);
      BNNT_UNROLL
      for (int v = 0; v < vectors; ++v)
        kept[p][v] = vdupq_n_u16(0);
    }
  };
  const int32_t *before = job.bases + output; // what the sums are added to, `step` apart
  size_t step = 0;
  const auto flush = [&]() __attribute__((always_inline)) {
    BNNT_UNROLL
    for (int p = 0; p < tile; ++p) {
      const uint32_t sum = vaddlvq_u16(all[p]); // pairs of neighbours that are the same for all outputs
      const uint32x4_t whole = vdupq_n_u32(sum);
      BNNT_UNROLL
      for (int v = 0; v < vectors; ++v) {
        int32_t *to = out + static_cast<size_t>(p) * job.stride + 8 * v;
        const uint32_t *from = reinterpret_cast<const uint32_t *>(before + static_cast<size_t>(p) * step + 8 * v);
        const uint32x4_t low = vsubq_u32(whole, vshll_n_u16(vget_low_u16(kept[p][v]), 1));
        const uint32x4_t high = vsubq_u32(whole, vshll_high_n_u16(kept[p][v], 1));
        vst1q_s32(to, vreinterpretq_s32_u32(vaddq_u32(vld1q_u32(from), low)));
        vst1q_s32(to + 4, vreinterpretq_s32_u32(vaddq_u32(vld1q_u32(from + 4), high)));
      }
    }
    before = out;
    step = job.stride;
  };
  clear();
  size_t room = most_steps;
  for (size_t r = 0; r < job.runs; ++r, first += job.run_step) {
    const uint8_t *x = first;
    for (size_t k = 0; k < job.run;) {
      const size_t end = job.run - k < room ? job.run : k + room;
      room -= end - k;
      BNNT_KEEP_ROLLED
      for (; k < end; ++k, x += values, weight += vectors * vector) {
        // only the first output's, which there is: the others may all be 0
        const uint8x16_t there = vreinterpretq_u8_u16(vsetq_lane_u16(load<uint16_t>(weight), vdupq_n_u16(0), 0));
        const uint8x16_t counts = vtstq_u8(there, there);
        uint8x16_t two[tile];
        BNNT_UNROLL
        for (int p = 0; p < tile; ++p) {
          two[p] = vreinterpretq_u8_u16(vdupq_n_u16(load<uint16_t>(x + static_cast<size_t>(p) * job.pixel_step)));
          all[p] = vpadalq_u8(all[p], vandq_u8(two[p], counts));
        }
        BNNT_UNROLL
        for (int v = 0; v < vectors; ++v) {
          const uint8x16_t minus = vcltzq_s8(vreinterpretq_s8_u8(vld1q_u8(weight + v * vector)));
          BNNT_UNROLL
          for (int p = 0; p < tile; ++p)
            kept[p][v] = vpadalq_u8(kept[p][v], vandq_u8(two[p], minus));
        }
      }
      if (room > 0)
        continue;
      room = most_steps;
      flush();
      clear();
    }
  }
  flush();
}

} // namespace

void products(const Dots &job) {
  in_tiles<4, 1>(job, bytes_block, values,
                 [&]<int tile>(const uint8_t *first, const uint8_t *weights, size_t output, int32_t *out) {
                   run<tile>(job, first, weights, output, out);
                 });
}

} // namespace bnnt::neon
