#include "tile.hpp"

namespace bnnt::neon {

namespace {

// Each word of the image stands four times, so that every operand comes by a plain load.
struct Loop {
  static constexpr size_t expansion = 4;

  static inline __attribute__((always_inline)) void count(const uint8_t *const (&x)[pixels], const uint8_t *weights,
                                                          size_t words, uint8x16_t (&bytes)[pixels * vectors]) {
    BNNT_KEEP_ROLLED
    for (size_t i = 0; i < words; ++i, weights += block * word) {
      uint8x16_t w[vectors];
      BNNT_UNROLL
      for (int v = 0; v < vectors; ++v)
        w[v] = vld1q_u8(weights + 16 * v);
      BNNT_UNROLL
      for (int p = 0; p < pixels; ++p) {
        const uint8x16_t same = vld1q_u8(x[p] + 16 * i);
        BNNT_UNROLL
        for (int v = 0; v < vectors; ++v) {
          uint8x16_t &sum = bytes[vectors * p + v];
          sum = vaddq_u8(sum, vcntq_u8(veorq_u8(w[v], same)));
        }
      }
    }
  }
};

void expand(const uint8_t *a, const uint8_t *, size_t taps, size_t tap, uint8_t *to) {
  for (size_t i = 0; i < taps * tap; i += word)
    vst1q_u32(reinterpret_cast<uint32_t *>(to + Loop::expansion * i), vdupq_n_u32(load<uint32_t>(a + i)));
}

} // namespace

const Convolver wide = {.name = "direct neon",
                        .pixels = 1,
                        .expanded = expanded_words<Loop::expansion>,
                        .block = block,
                        .apart = block,
                        .unit = word,
                        .expand = expand,
                        .weight_bytes = word_weight_bytes<word, block>,
                        .pack = pack_words<word, block>,
                        .element = same_element,
                        .run = run_tiles<Loop>};

} // namespace bnnt::neon
