// What a kernel set offers. Every set computes the same bytes; `portable` is the one that the others are pinned to.
#pragma once

#include "../core/model.hpp"

namespace bnnt {

// Counts where packed signs disagree: out[p * stride + o] = base - (popcount(patch p xor weight o) << shift).
// Patches lie one behind the other, `words` words each. Weights lie in blocks of `block` outputs, [words][block] words
// a block. Writes whole blocks.
struct Disagreements {
  const uint8_t *patches;
  size_t count;
  const uint8_t *weights;
  size_t words;
  size_t blocks;
  int32_t base;
  int32_t shift;
  int32_t *out;
  size_t stride;
};

// One output row of a layer with weights of the sum's own type, [group][block][tap][input][lane]: products in the order
// tap, input, each product and each sum rounded, starting from the bias.
struct Sums {
  const Layer *layer;
  const void *x; // NHWC: int32 for narrow, float32 for real
  int64_t height, width;
  int64_t row;
  void *out; // int32 or float32 [width][stride]
  size_t stride;
};

struct Kernels {
  const char *name;
  bool (*runs_here)();

  const char *bits_name;
  const char *planes_name; // the same kernel over bit planes
  size_t word;  // bytes
  size_t block; // outputs
  void (*disagreements)(const Disagreements &);

  const char *narrow_name;
  const char *real_name;
  size_t narrow_lanes, real_lanes; // outputs of a block
  void (*narrow)(const Sums &);
  void (*real)(const Sums &);

  // (acc < tau) xor flip, packed; reads acc and taus up to a multiple of 16 channels
  void (*threshold)(const int32_t *acc, const int32_t *taus, const uint8_t *flips, int64_t channels, uint8_t *out);
};

// Best first; the last one is `portable` and runs everywhere.
extern const Kernels kernel_sets[];
extern const int32_t kernel_set_count;

} // namespace bnnt
