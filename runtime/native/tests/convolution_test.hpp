// The kernels over `Convolution`: windows of an expanded image straight to bits or accumulators.
#pragma once

#include <string.h>

#include "differ.hpp"
#include "guarded.hpp"
#include "noise.hpp"

namespace bnnt {

namespace {

// Lines of `line` taps of `tap` packed bytes; a window is `runs` runs of `run` taps, one in each line from that of its
// spot on.
struct Plane {
  size_t tap, lines, line, runs, run, outputs, spots;
  bool bits, pooled, borders;
  size_t line_bytes() const { return line * tap; }
  size_t run_bytes() const { return run * tap; }
};

constexpr size_t border_cases = 5;

class ConvolutionTest {
public:
  ConvolutionTest(const Kernels &of, const Convolver &with, const Plane &shape, Pattern pattern, Noise &random)
      : set(of), convolver(with), plane(shape), noise(random), arranged(round_up(shape.outputs, convolver.block)),
        lines((shape.lines + 1) * shape.line_bytes()), rows(shape.outputs * window()),
        tap(convolver.expanded(shape.tap)), image(shape.lines * shape.line * tap + 64),
        weights(convolver.weight_bytes(shape.outputs, shape.runs, shape.run_bytes(), shape.tap), 0), limits(arranged),
        borders(border_cases * arranged, 0), flips((arranged + 7) / 8 + 8, 0), spots(shape.spots), runs(shape.runs) {
    for (size_t i = 0; i < lines.size(); ++i)
      lines[i] = sign_byte(pattern, false, noise);
    for (size_t i = 0; i < rows.size(); ++i)
      rows[i] = sign_byte(pattern, true, noise);
    for (size_t y = 0; y < plane.lines; ++y)
      convolver.expand(lines.data() + y * plane.line_bytes(), lines.data() + (y + 1) * plane.line_bytes(), plane.line,
                       plane.tap, image.data() + y * plane.line * tap);
    convolver.pack({rows.data(), plane.outputs, plane.runs, plane.run_bytes(), plane.tap, 0xff}, weights.data());
    for (size_t r = 0; r < plane.runs; ++r)
      runs[r] = static_cast<uint32_t>(r * plane.line * tap);
    for (size_t i = 0; i < arranged; ++i)
      limits[i] = 0x7fff;
    for (size_t o = 0; o < plane.outputs; ++o) {
      if (noise.next() >> 63)
        flips[o / 8] |= static_cast<uint8_t>(1u << o % 8);
      for (size_t c = 1; plane.borders && c < border_cases; ++c)
        borders[c * arranged + convolver.element(o)] = static_cast<int16_t>(noise.between(-40, 40));
    }
    for (size_t i = 0; i < plane.spots; ++i) {
      const size_t y = noise.size(0, plane.lines - plane.runs), at = noise.size(0, plane.line - plane.run);
      const uint32_t second = convolver.pixels == 2 && noise.size(0, 4) != 0 ? 1 : 0;
      const uint32_t out = static_cast<uint32_t>(2 * i);
      spots[i] = {static_cast<uint32_t>((y * plane.line + at) * tap),
                  {out, out + second},
                  {static_cast<uint32_t>(noise.size(0, border_cases - 1)),
                   static_cast<uint32_t>(noise.size(0, border_cases - 1))}};
    }
    for (size_t o = 0; o < plane.outputs; ++o) // at counts that there are
      limits[convolver.element(o)] = static_cast<int16_t>(count(noise.size(0, plane.spots - 1), 0, o) +
                                                          static_cast<int32_t>(noise.between(-1, 1)));
  }

  void check() {
    const size_t pixel = plane.bits ? (plane.outputs + 7) / 8 : plane.outputs * sizeof(int32_t);
    Guarded<uint8_t> to(2 * plane.spots * pixel, 0xa5);
    convolver.run({.image = image.data(),
                   .spots = spots.data(),
                   .count = plane.spots,
                   .runs = runs.data(),
                   .run_count = plane.runs,
                   .run_bytes = plane.run_bytes(),
                   .tap = plane.tap,
                   .weights = weights.data(),
                   .outputs = plane.outputs,
                   .base = base,
                   .borders = plane.borders ? borders.data() : nullptr,
                   .border_stride = arranged,
                   .limits = plane.bits ? limits.data() : nullptr,
                   .flips = plane.bits ? flips.data() : nullptr,
                   .pooled = plane.pooled,
                   .to = to.data(),
                   .pixel = pixel});
    Guarded<uint8_t> expected(to.size(), 0xa5);
    const size_t together = plane.pooled ? 4 / convolver.pixels : 1;
    for (size_t i = 0; i < plane.spots; i += together)
      for (size_t which = 0; which < (plane.pooled ? 1 : convolver.pixels); ++which)
        put(i, which, together, expected.data() + spots[i].out[which] * pixel);
    char sizes[160];
    snprintf(sizes, sizeof sizes, "%zu spots, %zu runs of %zu taps of %zu bytes, %zu outputs, %s%s%s", plane.spots,
             plane.runs, plane.run, plane.tap, plane.outputs, plane.bits ? "bits" : "accumulators",
             plane.pooled ? ", pooled" : "", plane.borders ? ", borders" : "");
    for (size_t i = 0; i < to.size(); ++i)
      if (to[i] != expected[i])
        differ(set, "convolution", sizes, i, expected[i], to[i]);
    ++cases;
  }

private:
  static constexpr int32_t base = 12345;

  size_t window() const { return plane.runs * plane.run_bytes(); }

  // Disagreements of a pixel of a spot and an output, with what its border lacks.
  int32_t count(size_t spot, size_t which, size_t output) const {
    const uint8_t *x = lines.data() + spots[spot].first / tap * plane.tap + which * plane.line_bytes();
    const uint8_t *w = rows.data() + output * window();
    int32_t sum = plane.borders ? borders[spots[spot].border[which] * arranged + convolver.element(output)] : 0;
    for (size_t r = 0; r < plane.runs; ++r, x += plane.line_bytes(), w += plane.run_bytes()) {
      size_t i = 0;
      for (; i + sizeof(uint64_t) <= plane.run_bytes(); i += sizeof(uint64_t))
        sum += __builtin_popcountll(load<uint64_t>(x + i) ^ load<uint64_t>(w + i));
      for (; i < plane.run_bytes(); ++i)
        sum += __builtin_popcount(x[i] ^ w[i]);
    }
    return sum;
  }

  void put(size_t spot, size_t which, size_t together, uint8_t *to) const {
    if (which == 1 && spots[spot].out[1] == spots[spot].out[0])
      return;
    if (plane.bits)
      memset(to, 0, (plane.outputs + 7) / 8);
    for (size_t o = 0; o < plane.outputs; ++o) {
      int32_t least = count(spot, which, o);
      for (size_t i = 0; plane.pooled && i < 4; ++i) {
        const int32_t other = count(spot + i % together, i / together, o);
        least = other < least ? other : least;
      }
      const bool flip = (flips[o / 8] >> o % 8 & 1) != 0;
      if (plane.bits)
        to[o / 8] |= static_cast<uint8_t>(((least > limits[convolver.element(o)]) != flip) << o % 8);
      else {
        const int32_t acc = base - 2 * least;
        memcpy(to + o * sizeof acc, &acc, sizeof acc);
      }
    }
  }

  const Kernels &set;
  const Convolver &convolver;
  const Plane &plane;
  Noise &noise;
  size_t arranged;
  Guarded<uint8_t> lines, rows;
  size_t tap; // bytes of an expanded one
  Guarded<uint8_t> image, weights;
  Guarded<int16_t> limits, borders;
  Guarded<uint8_t> flips;
  Guarded<Spot> spots;
  Guarded<uint32_t> runs;
};

// Every length of a run around the most lookups and words between two flushes, in taps of one byte and as one tap;
// windows up to the most bits, every number of outputs, tails of spots.
void convolutions(const Kernels &set, const Convolver &convolver) {
  Noise noise(5);
  const auto test = [&](Plane plane, Pattern pattern) {
    const size_t tap = round_up(plane.tap, convolver.unit);
    const auto in_taps = [&](size_t taps) { return (taps * plane.tap + tap - 1) / tap; };
    plane.line = in_taps(plane.line);
    plane.run = in_taps(plane.run);
    plane.tap = tap;
    ConvolutionTest(set, convolver, plane, pattern, noise).check();
  };
  for (size_t run = 1; run <= 70; ++run)
    for (const Pattern pattern : patterns) {
      test({1, 4, run + 9, 3, run, 33, 5, true, false, false}, pattern);
      test({1, 2, run + 5, 1, run, 130, 3, false, false, true}, pattern);
      test({run, 4, 5, 3, 1 + run % 3, 70, 5, true, false, true}, pattern);
    }
  static constexpr size_t long_runs[] = {126, 255, 256, 257, 512, 1364};
  for (const size_t run : long_runs)
    for (const Pattern pattern : patterns) {
      test({1, 4, run + 9, 3, run, 70, 9, run % 2 == 0, false, false}, pattern);
      test({run, 4, 2, 3, 1, 70, 9, run % 2 != 0, false, false}, pattern);
    }
  for (size_t outputs = 1; outputs <= 260; ++outputs) {
    test({4, 4, 10, 3, 2, outputs, outputs % 13 + 1, true, false, outputs % 2 == 0}, Pattern::random);
    test({9, 4, 5, 2, 1, outputs, outputs % 13 + 1, false, false, outputs % 2 == 1}, Pattern::random);
    test({5, 4, 8, 3, 1, outputs, 4 * (outputs % 20 + 1), true, true, outputs % 2 == 0}, Pattern::random);
  }
  for (int i = 0; i < 300; ++i) {
    const size_t runs = noise.size(1, 25), tap = noise.size(1, 20), run = noise.size(1, 60 / tap),
                 spots = noise.size(1, 40);
    const bool pooled = noise.size(0, 2) == 0, bits = pooled || noise.next() >> 63;
    test({tap, runs + noise.size(0, 4), run + noise.size(0, 50), runs, run, noise.size(1, 300),
          pooled ? spots * 4 : spots, bits, pooled, noise.next() >> 63 != 0},
         patterns[noise.size(0, 3)]);
  }
}

} // namespace

} // namespace bnnt
