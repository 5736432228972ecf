// Every function of every kernel set that this CPU runs, against plain loops over the same numbers: equal to the last
// bit.
//
// The loops know nothing of words, blocks and tiles: each test packs its numbers as the set wants them. All memory ends
// at an unmapped page, so a kernel that touches more than kernels.hpp says ends the program.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../kernels/kernels.hpp"
#include "guarded.hpp"
#include "noise.hpp"

namespace bnnt {

namespace {

size_t cases; // of the function under test

[[noreturn]] void differ(const Kernels &set, const char *function, const char *sizes, size_t at, int64_t expected,
                         int64_t found) {
  printf("%s %s differs: %s, element %zu: expected %lld, found %lld\n", set.name, function, sizes, at,
         static_cast<long long>(expected), static_cast<long long>(found));
  exit(1);
}

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
  Guarded<int32_t> out((shape.count - 1) * stride + blocks * block);
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

// Values and weights so large that the sums just fit an int16.
void multiply(const Kernels &set, const Shape &shape, Pattern pattern, Noise &noise) {
  const Windows windows(shape, set.pair * sizeof(int16_t));
  const int64_t values = static_cast<int64_t>(windows.length() / sizeof(int16_t)), most = 0x7fff / values;
  if (most == 0)
    return;
  Guarded<uint8_t> x(windows.bytes()), rows(shape.outputs * windows.length());
  for (size_t i = 0; i + 1 < x.size(); i += 2) {
    const int64_t value = pattern == Pattern::random ? noise.between(-most, most) : most;
    const int16_t narrow = static_cast<int16_t>(pattern == Pattern::opposite ? -value : value);
    memcpy(x.data() + i, &narrow, sizeof narrow);
  }
  for (size_t i = 0; i < rows.size(); i += 2) {
    const bool negative =
        pattern == Pattern::checkerboard ? i % 4 != 0 : pattern == Pattern::random && noise.next() >> 63;
    const int16_t narrow = negative ? -1 : 1;
    memcpy(rows.data() + i, &narrow, sizeof narrow);
  }
  const auto expect = [&](const uint8_t *window, const uint8_t *row) {
    int32_t sum = 0;
    for (size_t i = 0; i < windows.length(); i += sizeof(int16_t))
      sum += load<int16_t>(window + i) * load<int16_t>(row + i);
    return sum;
  };
  check_dots(set, "products", set.products, windows, set.narrow_block, x, rows, 0, 0, expect);
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

void threshold(const Kernels &set) {
  Noise noise(2);
  constexpr int64_t bound = 2 * acc_limit;
  for (size_t channels = 1; channels <= 300; ++channels)
    for (int turn = 0; turn < 4; ++turn) {
      const size_t padded = round_up(channels, 16), bytes = (channels + 7) / 8;
      Guarded<int32_t> acc(padded), taus(padded);
      Guarded<uint8_t> flips(bytes), out(bytes);
      for (size_t c = 0; c < padded; ++c) { // those behind the last channel hold anything
        acc[c] = static_cast<int32_t>(c < channels ? noise.between(1 - acc_limit, acc_limit - 1)
                                                   : noise.between(INT32_MIN, INT32_MAX));
        taus[c] = static_cast<int32_t>(noise.between(0, 3) != 0 ? acc[c] + noise.between(-1, 1)
                                       : noise.next() >> 63     ? bound
                                                                : -bound);
        if (c >= channels)
          taus[c] = static_cast<int32_t>(noise.between(INT32_MIN, INT32_MAX));
      }
      for (size_t i = 0; i < bytes; ++i)
        flips[i] = turn == 0 ? 0x00 : turn == 1 ? 0xff : static_cast<uint8_t>(noise.next());
      if (channels % 8 != 0)
        flips[bytes - 1] &= static_cast<uint8_t>((1u << channels % 8) - 1);
      set.threshold(acc.data(), taus.data(), flips.data(), static_cast<int64_t>(channels), out.data());
      char sizes[80];
      snprintf(sizes, sizeof sizes, "%zu channels", channels);
      for (size_t c = 0; c < 8 * bytes; ++c) {
        const bool flip = (flips[c / 8] >> c % 8 & 1) != 0;
        const bool expected = c < channels && (acc[c] < taus[c]) != flip, found = (out[c / 8] >> c % 8 & 1) != 0;
        if (found != expected)
          differ(set, "threshold", sizes, c, expected, found);
      }
      ++cases;
    }
}

void maximum(const Kernels &set) {
  Noise noise(3);
  for (size_t count = 0; count <= 150; ++count) {
    Guarded<int32_t> to(count), from(count), before(count);
    for (size_t i = 0; i < count; ++i) {
      to[i] = before[i] = static_cast<int32_t>(i % 5 == 0 ? INT32_MIN : noise.between(INT32_MIN, INT32_MAX));
      from[i] = static_cast<int32_t>(i % 3 == 0           ? noise.between(INT32_MIN, INT32_MAX)
                                     : to[i] == INT32_MAX ? INT32_MAX
                                                          : to[i] + 1);
    }
    set.maximum(to.data(), from.data(), count);
    char sizes[80];
    snprintf(sizes, sizeof sizes, "%zu elements", count);
    for (size_t i = 0; i < count; ++i) {
      const int32_t expected = before[i] > from[i] ? before[i] : from[i];
      if (to[i] != expected)
        differ(set, "maximum", sizes, i, expected, to[i]);
    }
    ++cases;
  }
}

// Ordinary numbers, and some that show another order, a fused rounding or a flush to zero.
float real(Noise &noise, bool hostile) {
  if (hostile && noise.size(0, 9) == 0) {
    static constexpr float special[] = {0.0f, -0.0f, 1e-45f, -1e-38f, 3e38f, -3e38f, __builtin_inff(), 16777217.0f};
    return special[noise.size(0, 7)];
  }
  return static_cast<float>(noise.between(-1000000, 1000000)) * 0x1.8p-17f;
}

bool same(float a, float b) {
  return __builtin_memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b); // which NaN comes out is nobody's promise
}

void sums(const Kernels &set) {
  Noise noise(4);
  for (int turn = 0; turn < 400; ++turn) {
    const bool hostile = turn % 4 == 0;
    Layer layer;
    Window &window = layer.window;
    for (int axis = 0; axis < 2; ++axis) {
      window.kernel[axis] = noise.between(1, 4);
      window.strides[axis] = noise.between(1, 3);
      window.dilations[axis] = noise.between(1, 2);
      window.pads[axis] = noise.between(0, 3);
      window.pads[axis + 2] = noise.between(0, 3);
    }
    layer.group = noise.between(1, 3);
    layer.inputs = noise.between(1, 9);
    layer.outputs = turn < 130 ? turn + 1 : noise.between(1, 80);
    layer.pad_counts = noise.next() >> 63 != 0;
    layer.block = set.real_block;
    layer.blocked = static_cast<int64_t>(round_up(static_cast<uint64_t>(layer.outputs), layer.block));
    const int64_t height = noise.between(1, 7), width = noise.between(1, 9),
                  lanes = static_cast<int64_t>(set.real_block);
    layer.width = noise.between(1, 6); // the kernel takes it as it is: windows that lie outside sum nothing
    const int64_t row = noise.between(0, 4), taps = layer.taps(), channels = layer.group * layer.inputs;
    Guarded<float> x(static_cast<size_t>(height * width * channels));
    Guarded<float> rows(static_cast<size_t>(layer.channels() * taps * layer.inputs)); // [output][tap][input]
    Guarded<float> weights(static_cast<size_t>(layer.group * layer.blocked * taps * layer.inputs), 0);
    Guarded<float> bias(static_cast<size_t>(layer.group * layer.blocked), 0),
        biases(static_cast<size_t>(layer.channels()), 0);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = real(noise, hostile);
    for (size_t i = 0; i < rows.size(); ++i)
      rows[i] = real(noise, hostile);
    const bool has_bias = noise.next() >> 63 != 0;
    for (int64_t g = 0; g < layer.group; ++g)
      for (int64_t o = 0; o < layer.outputs; ++o) {
        const int64_t output = g * layer.outputs + o, slot = g * layer.blocked + o;
        if (has_bias)
          bias[static_cast<size_t>(slot)] = biases[static_cast<size_t>(output)] = real(noise, hostile);
        for (int64_t i = 0; i < taps * layer.inputs; ++i)
          weights[static_cast<size_t>((g * layer.blocked + o / lanes * lanes) * taps * layer.inputs + i * lanes +
                                      o % lanes)] = rows[static_cast<size_t>(output * taps * layer.inputs + i)];
      }
    layer.weights = reinterpret_cast<uint8_t *>(weights.data());
    layer.bias = has_bias ? bias.data() : nullptr;
    const size_t stride = round_up(static_cast<uint64_t>((layer.group - 1) * layer.outputs + layer.blocked), 16);
    Guarded<float> out(static_cast<size_t>(layer.width - 1) * stride +
                       static_cast<size_t>((layer.group - 1) * layer.outputs + layer.blocked));
    set.sums({&layer, x.data(), height, width, row, out.data(), stride});
    char sizes[160];
    snprintf(sizes, sizeof sizes, "%lldx%lld windows of %lld inputs, %lld groups of %lld outputs",
             static_cast<long long>(window.kernel[0]), static_cast<long long>(window.kernel[1]),
             static_cast<long long>(layer.inputs), static_cast<long long>(layer.group),
             static_cast<long long>(layer.outputs));
    for (int64_t column = 0; column < layer.width; ++column)
      for (int64_t output = 0; output < layer.channels(); ++output) {
        float sum = biases[static_cast<size_t>(output)];
        for (int64_t ky = 0; ky < window.kernel[0]; ++ky)
          for (int64_t kx = 0; kx < window.kernel[1]; ++kx) {
            const int64_t y = row * window.strides[0] - window.pads[0] + ky * window.dilations[0];
            const int64_t at = column * window.strides[1] - window.pads[1] + kx * window.dilations[1];
            const bool inside = y >= 0 && y < height && at >= 0 && at < width;
            for (int64_t i = 0; (inside || layer.pad_counts) && i < layer.inputs; ++i) {
              const float value =
                  inside
                      ? x[static_cast<size_t>((y * width + at) * channels + output / layer.outputs * layer.inputs + i)]
                      : 1.0f;
              sum = sum +
                    value * rows[static_cast<size_t>((output * taps + ky * window.kernel[1] + kx) * layer.inputs + i)];
            }
          }
        const size_t at = static_cast<size_t>(column) * stride + static_cast<size_t>(output);
        if (!same(out[at], sum))
          differ(set, "sums", sizes, at, load<int32_t>(&sum), load<int32_t>(&out[at]));
      }
    ++cases;
  }
}

template <class Test> void report(const Kernels &set, const char *function, const char *kernel, Test &&test) {
  cases = 0;
  test();
  printf("%s %s (%s): %zu cases, equal\n", set.name, function, kernel, cases);
}

} // namespace

} // namespace bnnt

int main() {
  using namespace bnnt;
  setvbuf(stdout, nullptr, _IOLBF, 0);
  for (int32_t i = 0; i < kernel_set_count; ++i) {
    const Kernels &set = kernel_sets[i];
    if (!set.runs_here()) {
      printf("%s SKIPPED: this CPU does not run it\n", set.name);
      continue;
    }
    report(set, "disagreements", set.bits_name, [&] { dots(set, 1, disagree); });
    report(set, "products", set.narrow_name, [&] { dots(set, sizeof(int16_t), multiply); });
    report(set, "sums", set.real_name, [&] { sums(set); });
    report(set, "threshold", set.name, [&] { threshold(set); });
    report(set, "maximum", set.name, [&] { maximum(set); });
  }
}
