#include <arm_neon.h>

#include "../tiles.hpp"
#include "../unroll.hpp"
#include "neon.hpp"

namespace bnnt::neon {

namespace {

constexpr int vectors = 4;    // of 8 outputs: a block
constexpr size_t vector = 16; // bytes

// The two values of a word are numbers that vectors of weights of 16 bits are multiplied with, four outputs at a time.
template <int tile>
void run(const Dots &job, const uint8_t *first, const uint8_t *weight, size_t output, int32_t *out) {
  int32x4_t sums[tile][2 * vectors];
  BNNT_UNROLL
  for (int p = 0; p < tile; ++p) {
    BNNT_UNROLL
    for (int v = 0; v < 2 * vectors; ++v)
      sums[p][v] = vld1q_s32(job.bases + output + 4 * v);
  }
  for (size_t r = 0; r < job.runs; ++r, first += job.run_step) {
    const uint8_t *x = first;
    for (size_t k = 0; k < job.run; ++k, x += values, weight += vectors * vector) {
      int16x4_t two[tile];
      BNNT_UNROLL
      for (int p = 0; p < tile; ++p) {
        const uint16_t word = load<uint16_t>(x + static_cast<size_t>(p) * job.pixel_step);
        two[p] = vget_low_s16(vreinterpretq_s16_u16(vmovl_u8(vcreate_u8(word))));
      }
      BNNT_UNROLL
      for (int v = 0; v < vectors; ++v) {
        const int8x16_t both = vreinterpretq_s8_u8(vld1q_u8(weight + v * vector));
        const int16x8_t w0 = vmovl_s8(vget_low_s8(vuzp1q_s8(both, both)));
        const int16x8_t w1 = vmovl_s8(vget_low_s8(vuzp2q_s8(both, both)));
        BNNT_UNROLL
        for (int p = 0; p < tile; ++p) {
          int32x4_t &low = sums[p][2 * v], &high = sums[p][2 * v + 1];
          low = vmlal_lane_s16(low, vget_low_s16(w0), two[p], 0);
          high = vmlal_lane_s16(high, vget_high_s16(w0), two[p], 0);
          low = vmlal_lane_s16(low, vget_low_s16(w1), two[p], 1);
          high = vmlal_lane_s16(high, vget_high_s16(w1), two[p], 1);
        }
      }
    }
  }
  BNNT_UNROLL
  for (int p = 0; p < tile; ++p) {
    BNNT_UNROLL
    for (int v = 0; v < 2 * vectors; ++v)
      vst1q_s32(out + static_cast<size_t>(p) * job.stride + 4 * v, sums[p][v]);
  }
}

} // namespace

void byte_products(const Dots &job) {
  in_tiles<2, 1>(job, bytes_block, values,
                 [&]<int tile>(const uint8_t *first, const uint8_t *weights, size_t output, int32_t *out) {
                   run<tile>(job, first, weights, output, out);
                 });
}

} // namespace bnnt::neon
