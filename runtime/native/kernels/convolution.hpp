// Binary convolutions that go straight from packed bits to their result, without rows of sums between.
//
// A kernel reads an image that was expanded to what its inner loop wants (table offsets, or words that stand several
// times), computes one or two output pixels at a time for some outputs, and ends with what the layer yields: the bits
// of a threshold, those of the largest of four pixels, or the accumulators.
//
// Counts are of 16 bits: a window has at most `most_window_bits`. With K bits in a window and d of them different, the
// accumulator is K - 2 d, so acc < tau exactly if d > floor((K - tau) / 2): thresholds become limits of counts, and the
// largest accumulator is the smallest count.
#pragma once

#include "../basic.hpp"

namespace bnnt {

constexpr int64_t most_window_bits = 0x7fff;

// One output pixel, or two that are computed together. With pooling the spots of the four pixels that become one lie
// behind each other, and its place is the first one's.
struct Spot {
  uint32_t first;     // where the window begins, bytes of the expanded image
  uint32_t out[2];    // pixels of the result; where the second one is the first again, the first one's result stands
  uint32_t border[2]; // rows of Convolution::borders
};

// Spots of one band of an image against the weights of all outputs of one group.
struct Convolution {
  const uint8_t *image; // expanded
  const Spot *spots;
  size_t count;
  const uint32_t *runs; // where each run of a window lies behind its beginning, bytes of the expanded image
  size_t run_count;
  size_t run_bytes; // of one run, packed
  size_t tap;       // bytes of one tap of a run, packed
  const uint8_t *weights;
  size_t outputs;
  int32_t base; // bits of a window
  const int16_t
      *borders; // [case][outputs, each at its element], what counts of windows that reach outside lack; null: nothing
  size_t border_stride;
  const int16_t *limits; // [outputs, each at its element]; null: accumulators are wanted
  const uint8_t *flips;  // packed; read up to 8 bytes from the last one on
  bool pooled;           // the largest of four pixels; with limits alone
  uint8_t *to;           // int32 accumulators or bits
  size_t pixel;          // bytes from one pixel of the result to the next
};

// Packed weights as the file has them: [outputs][runs * run_bytes], taps of `tap` bytes one behind the other. What
// stands in the tail bits of a tap is nobody's promise.
struct SignRows {
  const uint8_t *data;
  size_t outputs, runs, run_bytes;
  size_t tap;
  uint8_t tail; // the bits of a tap's last byte that count

  // Byte `at` of a run of each output, one a row of bytes further on than the one before; and what of it counts.
  const uint8_t *first(size_t output, size_t run, size_t at) const {
    return data + (output * runs + run) * run_bytes + at;
  }
  size_t row() const { return runs * run_bytes; }
  uint8_t mask(size_t at) const { return at % tap == tap - 1 ? tail : 0xff; }
};

// What a kernel set offers for them.
struct Convolver {
  const char *name;
  size_t least_outputs = 0;       // of a group: layers of fewer are another's
  size_t pixels;                  // of one spot
  size_t (*expanded)(size_t tap); // bytes of a tap, packed: how many it has in the expanded image
  size_t block;                   // there are elements for a multiple of so many outputs
  size_t apart; // outputs: the weights and elements behind a multiple of these are those of a layer without them
  size_t unit;  // bytes: pixels and runs must be a multiple
  // Two rows of taps, one for each pixel of a spot; where a spot has one pixel, b is not read.
  void (*expand)(const uint8_t *a, const uint8_t *b, size_t taps, size_t tap, uint8_t *to);
  size_t (*weight_bytes)(size_t outputs, size_t runs, size_t run_bytes, size_t tap);
  void (*pack)(const SignRows &rows, uint8_t *to); // to: zeroed
  size_t (*element)(size_t output);                // where limits and borders of an output stand
  void (*run)(const Convolution &);
};

} // namespace bnnt
