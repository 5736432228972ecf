// Convolutions by xor and popcount: tiles of 4 pixels by 16 outputs, whose sums of bytes fit the registers. What
// differs between cores is the loop over words, `Loop::count`.
#pragma once

#include <arm_neon.h>

#include "../unroll.hpp"
#include "../words.hpp"
#include "neon.hpp"

namespace bnnt::neon {
namespace {

constexpr int pixels = 4, vectors = 4;
constexpr size_t most_steps = 31; // of at most 8 bits each, before a byte of counts overflows

// Sixteen answers of four pixels, a bit each: 64 bits, the first pixel lowest.
inline uint64_t bits_above(const int16x8_t (&counts)[pixels][2], const int16_t *limits) {
  alignas(16) static constexpr uint8_t places[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t place = vld1q_u8(places);
  const int16x8_t low = vld1q_s16(limits), high = vld1q_s16(limits + 8);
  uint8x16_t masks[pixels];
  BNNT_UNROLL
  for (int p = 0; p < pixels; ++p) {
    const uint8x16_t first = vreinterpretq_u8_u16(vcgtq_s16(counts[p][0], low));
    const uint8x16_t second = vreinterpretq_u8_u16(vcgtq_s16(counts[p][1], high));
    masks[p] = vandq_u8(vuzp1q_u8(first, second), place);
  }
  const uint8x16_t sums = vpaddq_u8(vpaddq_u8(masks[0], masks[1]), vpaddq_u8(masks[2], masks[3]));
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)), 0);
}

inline void put_accumulators(int32_t base, int16x8_t low, int16x8_t high, size_t left, int32_t *to) {
  const int32x4_t bases = vdupq_n_s32(base);
  const int16x4_t fours[] = {vget_low_s16(low), vget_high_s16(low), vget_low_s16(high), vget_high_s16(high)};
  int32_t sixteen[block];
  int32_t *whole = left < block ? sixteen : to;
  BNNT_UNROLL
  for (int i = 0; i < 4; ++i)
    vst1q_s32(whole + 4 * i, vsubq_s32(bases, vshll_n_s16(fours[i], 1)));
  if (left < block)
    __builtin_memcpy(to, sixteen, left * sizeof *to);
}

template <class Loop> struct Tile {
  const Convolution &job;
  const Spot *spots[pixels]; // the last one again where there are fewer: the same result twice
  size_t output;

  void count(const uint8_t *weights, int16x8_t (&counts)[pixels][2]) const {
    uint8x16_t bytes[pixels * vectors];
    BNNT_UNROLL
    for (auto &pixel : counts)
      pixel[0] = pixel[1] = vdupq_n_s16(0);
    BNNT_UNROLL
    for (auto &each : bytes)
      each = vdupq_n_u8(0);
    const auto flush = [&]() __attribute__((always_inline)) {
      BNNT_UNROLL
      for (int p = 0; p < pixels; ++p)
        BNNT_UNROLL
      for (int half = 0; half < 2; ++half) {
        const uint8x16_t *of = bytes + vectors * p + 2 * half;
        const uint16x8_t sum = vpaddq_u16(vpaddlq_u8(of[0]), vpaddlq_u8(of[1]));
        counts[p][half] = vaddq_s16(counts[p][half], vreinterpretq_s16_u16(sum));
      }
    };
    const size_t words = job.run_bytes / word;
    size_t room = most_steps;
    for (size_t r = 0; r < job.run_count; ++r)
      for (size_t at = 0; at < words;) {
        const size_t now = words - at < room ? words - at : room;
        const uint8_t *x[pixels];
        BNNT_UNROLL
        for (int p = 0; p < pixels; ++p)
          x[p] = job.image + spots[p]->first + job.runs[r] + at * word * Loop::expansion;
        Loop::count(x, weights, now, bytes);
        weights += now * block * word;
        at += now;
        room -= now;
        if (room > 0)
          continue;
        room = most_steps;
        flush();
        BNNT_UNROLL
        for (auto &each : bytes)
          each = vdupq_n_u8(0);
      }
    flush();
  }

  void run(const uint8_t *weights) const {
    int16x8_t counts[pixels][2];
    count(weights, counts);
    for (int p = 0; job.borders != nullptr && p < pixels; ++p) {
      const int16_t *lacks = job.borders + spots[p]->border[0] * job.border_stride + output;
      BNNT_UNROLL
      for (int half = 0; spots[p]->border[0] != 0 && half < 2; ++half)
        counts[p][half] = vaddq_s16(counts[p][half], vld1q_s16(lacks + 8 * half));
    }
    const size_t left = job.outputs - output;
    if (job.limits == nullptr) {
      BNNT_UNROLL
      for (int p = 0; p < pixels; ++p)
        put_accumulators(job.base, counts[p][0], counts[p][1], left,
                         reinterpret_cast<int32_t *>(job.to + spots[p]->out[0] * job.pixel) + output);
      return;
    }
    BNNT_UNROLL
    for (int half = 0; job.pooled && half < 2; ++half)
      counts[0][half] =
          vminq_s16(vminq_s16(counts[0][half], counts[1][half]), vminq_s16(counts[2][half], counts[3][half]));
    const uint16_t flips = load<uint16_t>(job.flips + output / 8);
    uint64_t bits = bits_above(counts, job.limits + output);
    for (int p = 0; p < (job.pooled ? 1 : pixels); ++p, bits >>= 16) {
      const uint16_t value = static_cast<uint16_t>(bits ^ flips);
      uint8_t *to = job.to + spots[p]->out[0] * job.pixel + output / 8;
      if (left > 8)
        __builtin_memcpy(to, &value, sizeof value);
      else
        *to = static_cast<uint8_t>(value);
    }
  }
};

template <class Loop> void run_tiles(const Convolution &job) {
  const size_t bytes = job.run_count * job.run_bytes * block; // of weights of a block
  for (size_t output = 0; output < job.outputs; output += block)
    for (size_t i = 0; i < job.count; i += pixels) {
      Tile<Loop> tile{job, {}, output};
      for (size_t p = 0; p < pixels; ++p)
        tile.spots[p] = job.spots + (i + p < job.count ? i + p : job.count - 1);
      tile.run(job.weights + output / block * bytes);
    }
}

} // namespace
} // namespace bnnt::neon
