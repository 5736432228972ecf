// What a kernel set offers. Every set computes the same bytes; `portable` is the one that the others are pinned to.
#pragma once

#include "../model/model.hpp"

namespace bnnt {

// Windows over `count` neighbouring pixels, each against the weights of all outputs. Pixel p's window is `runs` runs of
// `run` words; run r starts at first + p * pixel_step + r * run_step bytes. Weights lie in blocks of outputs,
// [runs * run words][outputs of a block] words a block; whole blocks are written to out[p * stride + output].
struct Dots {
  const uint8_t *first;
  size_t count, pixel_step, run_step, runs, run;
  const uint8_t *weights;
  size_t blocks;
  int32_t base, shift; // disagreements alone
  int32_t *out;
  size_t stride;
};

// One output row of a layer with float32 weights [group][block][tap][input][lane]: products in the order tap, input, each
// product and each sum rounded, starting from the bias.
struct Sums {
  const Layer *layer;
  const float *x; // NHWC
  int64_t height, width;
  int64_t row;
  float *out; // [width][stride]
  size_t stride;
};

struct Kernels {
  const char *name;
  bool (*runs_here)();

  // packed signs: out = base - (popcount(window xor weight) << shift)
  const char *bits_name;
  const char *planes_name; // the same kernel over bit planes
  size_t word;             // bytes
  size_t block;            // outputs
  void (*disagreements)(const Dots &);

  // int16: out = sum of products, which fits an int16; a word is `pair` values
  const char *narrow_name;
  size_t pair;
  size_t narrow_block;
  void (*products)(const Dots &);

  const char *real_name;
  size_t real_block;
  void (*sums)(const Sums &);

  // (acc < tau) xor flip, packed; reads acc and taus up to a multiple of 16 channels
  void (*threshold)(const int32_t *acc, const int32_t *taus, const uint8_t *flips, int64_t channels, uint8_t *out);

  // to = max(to, from)
  void (*maximum)(int32_t *to, const int32_t *from, size_t count);
};

// Best first; the last one is `portable` and runs everywhere.
extern const Kernels kernel_sets[];
extern const int32_t kernel_set_count;

} // namespace bnnt
