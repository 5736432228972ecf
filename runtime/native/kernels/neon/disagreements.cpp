#include <arm_neon.h>

#include "../tiles.hpp"
#include "neon.hpp"

namespace bnnt::neon {

namespace {

constexpr int vectors = 4;
constexpr size_t most_steps = 31; // of at most 8 bits each, before a byte of counts overflows

// `tile` pixels by 16 outputs: with four pixels 16 independent sums of bytes, four weights and a pixel fit the
// registers.
template <int tile> void run(const Dots &job, const uint8_t *first, const uint8_t *weight, int32_t *out) {
  uint8x16_t bytes[tile][vectors];
  uint32x4_t counts[tile][vectors];
  for (int p = 0; p < tile; ++p)
    for (int v = 0; v < vectors; ++v) {
      bytes[p][v] = vdupq_n_u8(0);
      counts[p][v] = vdupq_n_u32(0);
    }
  const auto flush = [&] {
    for (int p = 0; p < tile; ++p)
      for (int v = 0; v < vectors; ++v) {
        counts[p][v] = vpadalq_u16(counts[p][v], vpaddlq_u8(bytes[p][v]));
        bytes[p][v] = vdupq_n_u8(0);
      }
  };
  const size_t step = job.pixel_step;
  size_t room = most_steps;
  for (size_t r = 0; r < job.runs; ++r, first += job.run_step) {
    const uint8_t *x = first;
    for (size_t k = 0; k < job.run;) {
      const size_t end = job.run - k < room ? job.run : k + room;
      room -= end - k;
      for (; k < end; ++k, x += word, weight += block * word) {
        uint8x16_t w[vectors];
        for (int v = 0; v < vectors; ++v)
          w[v] = vld1q_u8(weight + 16 * v);
        for (int p = 0; p < tile; ++p) {
          const uint32_t pixel = load<uint32_t>(x + static_cast<size_t>(p) * step);
          const uint8x16_t same = vreinterpretq_u8_u32(vdupq_n_u32(pixel));
          for (int v = 0; v < vectors; ++v)
            bytes[p][v] = vaddq_u8(bytes[p][v], vcntq_u8(veorq_u8(w[v], same)));
        }
      }
      if (room > 0)
        continue;
      room = most_steps;
      flush();
    }
  }
  flush();
  const int32x4_t base = vdupq_n_s32(job.base), shift = vdupq_n_s32(job.shift);
  for (int p = 0; p < tile; ++p)
    for (int v = 0; v < vectors; ++v) {
      const int32x4_t count = vreinterpretq_s32_u32(vshlq_u32(counts[p][v], shift));
      vst1q_s32(out + static_cast<size_t>(p) * job.stride + 4 * v, vsubq_s32(base, count));
    }
}

} // namespace

void disagreements(const Dots &job) {
  in_tiles<4, 1>(job, block, word, [&]<int tile>(const uint8_t *first, const uint8_t *weights, size_t, int32_t *out) {
    run<tile>(job, first, weights, out);
  });
}

} // namespace bnnt::neon
