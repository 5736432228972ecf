// What a kernel set offers. Every set computes the same bytes; tests/kernel_test.cpp holds each function to plain
// loops.
//
// Why popcounts are sums. With x and w in {-1, +1} and bits that say which are -1, a product is -1 exactly where the
// bits differ. Of K products d differ, so the sum is (K - d) - d = K - 2 * popcount(x xor w): base = K, shift = 1. Bits
// behind the last input are 0 on both sides, never differ, and count for nothing because K does not count them.
//
// Why bit planes are sums. An accumulator a >= low is low + the sum of 2^p * a_p over the bits a_p of a - low. For a
// weight w with bit b (1 where w = -1), w * a_p = (a_p xor b) - b. So each plane is one popcount, and what is left, low
// * (sum of w) - (2^planes - 1) * (number of -1), depends on the weights alone: `Layer::base`.
#pragma once

#include "../model/model.hpp"
#include "convolution.hpp"

namespace bnnt {

// Windows over `count` neighbouring pixels, each against the weights of all outputs. Pixel p's window is `runs` runs of
// `run` words; run r starts at first + p * pixel_step + r * run_step bytes. Weights lie in blocks of outputs,
// [runs * run words][outputs of a block] words a block; whole blocks are written to out[p * stride + output].
struct Dots {
  const uint8_t *first;
  size_t count, pixel_step, run_step, runs, run;
  const uint8_t *weights;
  size_t blocks;
  int32_t base, shift;  // disagreements alone
  const int32_t *bases; // products alone: [outputs of whole blocks]
  int32_t *out;
  size_t stride;
};

// One output row of a layer with float32 weights, which lie as `sums_weight` says: products in the order tap, input,
// each product and each sum rounded, starting from the bias.
struct Sums {
  const Layer *layer;
  const float *x; // NHWC
  int64_t height, width;
  int64_t row, columns; // columns: of the output
  float *out;           // [columns][stride]
  size_t stride;
  int64_t first, end; // outputs, of each group; the first one a multiple of the block
};

// The pixels of an image under a pooling window, of which there is at least one.
template <class T> struct Under {
  const T *first;
  size_t rows, columns;
  size_t line; // numbers from one row to the next
};

// What operators without weights do to some pixels, float32 [pixels][channels] or [count]; a target may be its source.
struct Rows {
  void (*normalize)(const uint8_t *from, size_t pixels, size_t channels, const float *scales, const float *offsets,
                    float *to); // (from - offset) * scale
  void (*affine)(const float *from, size_t pixels, size_t channels, const float *scales, const float *shifts,
                 float *to);
  void (*affine_of_integers)(const int32_t *from, size_t pixels, size_t channels, const float *scales,
                             const float *shifts, float *to);
  void (*prelu)(const float *from, size_t pixels, size_t channels, const float *slopes, float *to);
  void (*relu)(const float *from, size_t count, float *to);
  void (*hardtanh)(const float *from, size_t count, float *to);
  void (*add)(const float *a, const float *b, size_t count, float *to);
  void (*maximum)(const Under<float> &window, size_t channels, float *to);      // one pixel; NaN is the largest
  void (*sign)(const float *from, size_t pixels, size_t channels, uint8_t *to); // packed
};

// Where the weight of an output of a group stands: [group][block][tap][input][lane], or, where each group has one input
// and one output, [block of groups][tap][lane].
inline int64_t sums_weight(const Layer &layer, int64_t g, int64_t output, int64_t tap, int64_t input) {
  const int64_t lanes = static_cast<int64_t>(layer.block);
  if (layer.depthwise())
    return (g / lanes * layer.taps() + tap) * lanes + g % lanes;
  const int64_t block = g * layer.blocked / lanes + output / lanes;
  return ((block * layer.taps() + tap) * layer.inputs + input) * lanes + output % lanes;
}

struct Kernels {
  const char *name;
  bool (*runs_here)();
  bool (*suits)(); // this CPU: of the sets that run here the first that suits is taken

  // packed signs: out = base - (popcount(window xor weight) << shift). Counters of bytes are emptied in time: a byte
  // holds 255, a step adds at most 8 bits to it, so after 31 steps (248) it must be added to a wider one.
  const char *bits_name;
  const char *planes_name; // the same kernel over bit planes
  size_t word;             // bytes
  size_t block;            // outputs
  void (*disagreements)(const Dots &);

  const Convolver *convolver; // null: rows of sums serve every layer
  const Convolver *narrow;    // for layers of fewer outputs than the other's least

  // bytes: out = bases + sum of products of uint8, or int8 where `offset` is 128, with weights of -1, 0 and +1; a word
  // is `values` of them. Sums of 16 bits on the way are emptied in time: a step adds at most 255 to one for each value.
  const char *bytes_name;
  size_t values;
  size_t bytes_block;
  uint8_t offset;        // what is taken from the values before
  uint64_t most_weights; // of a layer of one pixel: beyond, reading them takes longer than bit planes do
  void (*products)(const Dots &);
  void (*byte_products)(const Dots &); // the same with any weights of 8 bits; no operator has these yet

  const char *real_name;
  size_t real_block;
  void (*sums)(const Sums &);

  // (acc < tau) xor flip, packed. Why one integer is enough: the batch norm and the sign of an integer change at most
  // once while it grows, so a comparison says which integers yield +1, turned round where the norm's scale is negative.
  // Reads acc and taus up to a multiple of 16 channels, where acc may hold anything. The tail bits of flips are 0, and
  // so are those of out.
  void (*threshold)(const int32_t *acc, const int32_t *taus, const uint8_t *flips, int64_t channels, uint8_t *out);

  // to = max(to, from)
  void (*maximum)(int32_t *to, const int32_t *from, size_t count);

  const Rows *rows;
};

// Best first; the last one is `portable`, runs everywhere and suits all.
extern const Kernels kernel_sets[];
extern const int32_t kernel_set_count;

} // namespace bnnt
