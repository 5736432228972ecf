// The kernels over `Dots`: disagreements and products.
#pragma once

#include <string.h>

#include "differ.hpp"
#include "guarded.hpp"
#include "noise.hpp"

namespace bnnt {

namespace {

// The geometry of `Dots`, in values of `bytes` bytes: windows of `runs` runs of `run` words.
struct Shape {
  size_t count, runs, run, outputs, gap; // gap: bytes between a pixel and the next, and a run and the next
};

struct Windows {
  size_t word, pixel_step, run_step;
  Shape shape;

  Windows(const Shape &of, size_t bytes)
      : word(bytes), pixel_step(of.gap + bytes), run_step(of.run * bytes + of.gap), shape(of) {}
  size_t bytes() const { return (shape.count - 1) * pixel_step + (shape.runs - 1) * run_step + shape.run * word; }
  size_t length() const { return shape.runs * shape.run * word; } // bytes of one window

  // All windows one behind the other.
  void gather(const uint8_t *first, uint8_t *to) const {
    for (size_t p = 0; p < shape.count; ++p)
      for (size_t r = 0; r < shape.runs; ++r, to += shape.run * word)
        memcpy(to, first + p * pixel_step + r * run_step, shape.run * word);
  }
};

// Rows of weights [outputs][length] as the set wants them: [block][word][output of the block].
void pack(const uint8_t *rows, const Windows &windows, size_t block, uint8_t *to) {
  const size_t words = windows.length() / windows.word;
  for (size_t o = 0; o < windows.shape.outputs; ++o)
    for (size_t w = 0; w < words; ++w)
      memcpy(to + ((o / block * words + w) * block + o % block) * windows.word,
             rows + o * windows.length() + w * windows.word, windows.word);
}

// Runs `function` and compares; `expect(window, row)` is the plain loop. What lies between pixels must stay as it was.
template <class Expect> void check_dots(const Kernels &set, const char *name, void (*function)(const Dots &),
                                        const Windows &windows, size_t block, const Guarded<uint8_t> &x,
                                        const Guarded<uint8_t> &rows, int32_t base, int32_t shift,
                                        const Expect &expect) {
  const Shape &shape = windows.shape;
  const size_t blocks = (shape.outputs + block - 1) / block, stride = blocks * block + shape.gap % 5;
  Guarded<uint8_t> weights(blocks * block * windows.length(), 0);
  pack(rows.data(), windows, block, weights.data());
  Guarded<int32_t> out((shape.count - 1) * stride + blocks * block), bases(blocks * block);
  for (size_t o = 0; o < bases.size(); ++o)
    bases[o] = base;
  const int32_t untouched = out[0];
  Guarded<uint8_t> gathered(shape.count * windows.length());
  windows.gather(x.data(), gathered.data());
  function({.first = x.data(),
            .count = shape.count,
            .pixel_step = windows.pixel_step,
            .run_step = windows.run_step,
            .runs = shape.runs,
            .run = shape.run,
            .weights = weights.data(),
            .blocks = blocks,
            .base = base,
            .shift = shift,
            .bases = bases.data(),
            .out = out.data(),
            .stride = stride});
  char sizes[160];
  snprintf(sizes, sizeof sizes, "%zu pixels %zu bytes apart, %zu runs of %zu words, %zu outputs, base %d, shift %d",
           shape.count, windows.pixel_step, shape.runs, shape.run, shape.outputs, base, shift);
  for (size_t p = 0; p < shape.count; ++p)
    for (size_t o = 0; o < stride && p * stride + o < out.size(); ++o) {
      if (o >= shape.outputs && o < blocks * block)
        continue; // outputs that there are not: anything
      const size_t length = windows.length();
      const int32_t expected =
          o < shape.outputs ? expect(gathered.data() + p * length, rows.data() + o * length) : untouched;
      if (out[p * stride + o] != expected)
        differ(set, name, sizes, p * stride + o, expected, out[p * stride + o]);
    }
  ++cases;
}

void disagree(const Kernels &set, const Shape &shape, Pattern pattern, Noise &noise) {
  const Windows windows(shape, set.word);
  Guarded<uint8_t> x(windows.bytes()), rows(shape.outputs * windows.length());
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = sign_byte(pattern, false, noise);
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i] = sign_byte(pattern, true, noise);
  const int32_t base = static_cast<int32_t>(noise.between(-(1 << 20), 1 << 20)), shift = noise.next() >> 63 ? 1 : 0;
  const auto expect = [&](const uint8_t *window, const uint8_t *row) {
    int32_t popcount = 0;
    for (size_t i = 0; i < windows.length(); i += sizeof(uint32_t))
      popcount += __builtin_popcount(load<uint32_t>(window + i) ^ load<uint32_t>(row + i));
    return base - (popcount << shift);
  };
  check_dots(set, "disagreements", set.disagreements, windows, set.block, x, rows, base, shift, expect);
}

// Bytes as large as they get, so that sums of 16 bits would overflow where they are emptied too late; weights from
// `least` to `most`, which are -1 and 1 without 0 between them.
void multiply(const Kernels &set, const char *name, void (*function)(const Dots &), int least, int most,
              const Shape &shape, Pattern pattern, Noise &noise) {
  const Windows windows(shape, set.values);
  Guarded<uint8_t> x(windows.bytes()), rows(shape.outputs * windows.length());
  const uint8_t far = set.offset == 0 ? 255 : 128; // -128
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = pattern == Pattern::random ? static_cast<uint8_t>(noise.next() >> 56) : far;
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i] = static_cast<uint8_t>(pattern == Pattern::equal          ? most
                                   : pattern == Pattern::opposite     ? least
                                   : pattern == Pattern::checkerboard ? (i % 3 != 0 ? most : least)
                                   : most == 1                        ? noise.between(0, 1) * 2 - 1
                                                                      : noise.between(least, most));
  const int32_t base = static_cast<int32_t>(noise.between(-(1 << 20), 1 << 20));
  const auto expect = [&](const uint8_t *window, const uint8_t *row) {
    int32_t sum = base;
    for (size_t i = 0; i < windows.length(); ++i)
      sum += (set.offset == 0 ? window[i] : static_cast<int8_t>(window[i])) * static_cast<int8_t>(row[i]);
    return sum;
  };
  check_dots(set, name, function, windows, set.bytes_block, x, rows, base, 0, expect);
}

void multiply_signs(const Kernels &set, const Shape &shape, Pattern pattern, Noise &noise) {
  multiply(set, "products", set.products, -1, 1, shape, pattern, noise);
}

void multiply_bytes(const Kernels &set, const Shape &shape, Pattern pattern, Noise &noise) {
  multiply(set, "byte_products", set.byte_products, -128, 127, shape, pattern, noise);
}

// Every length around the limits of counters of 8 bits (31 words of at most 8 bits) and some of 16, every number of
// outputs, tails of pixels, strides of any alignment.
constexpr size_t long_runs[] = {248, 255, 256, 257, 511, 1024, 2047, 8193}, counts[] = {1, 2, 3, 4, 7, 8, 9, 13};

template <class Test> void dots(const Kernels &set, size_t gap_unit, Test &&test) {
  Noise noise(1);
  for (size_t run = 1; run <= 130; ++run)
    for (const Pattern pattern : patterns) {
      test(set, Shape{5, 1, run, set.block + 1, 0}, pattern, noise);
      test(set, Shape{1, 3, run, 1, gap_unit}, pattern, noise);
    }
  for (const size_t run : long_runs)
    for (const Pattern pattern : patterns)
      test(set, Shape{6, 2, run, 3, 0}, pattern, noise);
  for (size_t outputs = 1; outputs <= 129; ++outputs)
    for (const size_t count : counts)
      test(set, Shape{count, 3, 2, outputs, gap_unit * (outputs % 7)}, Pattern::random, noise);
  for (int i = 0; i < 300; ++i) {
    const Shape shape{noise.size(1, 40), noise.size(1, 7), noise.size(1, 90), noise.size(1, 70),
                      gap_unit * noise.size(0, 9)};
    test(set, shape, patterns[noise.size(0, 3)], noise);
  }
}

} // namespace

} // namespace bnnt
