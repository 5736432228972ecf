// How fast each kernel is: multiply-accumulates (MAC) per cycle on a few shapes of layers, beside the most that a loop
// of the same instructions on registers alone reaches on this CPU. A product and a sum of a bit, an int16 or a float
// each are one MAC.
//
// A cycle is the time of one exclusive or that waits for the one before, which every CPU of these targets does in one:
// counters of cycles are closed to programs, and the time stamp of x86 ticks at a fixed rate. Under an emulator all of
// this means nothing.
#include <stdio.h>
#include <stdlib.h>

#include "../host/cycle.hpp"
#include "../kernels/kernels.hpp"
#include "../program/peaks/peaks.hpp"
#include "noise.hpp"

namespace bnnt {

namespace {

constexpr int rounds = 25;
constexpr uint64_t enough = 2000000; // nanoseconds of one round, at least

// Nanoseconds of one call, the mean of as many as fill a round.
template <class Call> double once(Call &&call, size_t &times) {
  for (;;) {
    const uint64_t start = bnnt_nanoseconds();
    for (size_t i = 0; i < times; ++i)
      call();
    const uint64_t spent = bnnt_nanoseconds() - start;
    if (spent >= enough)
      return static_cast<double>(spent) / static_cast<double>(times);
    times *= 2;
  }
}

// Memory that a kernel may read and write beyond what counts.
template <class T> T *memory(size_t count, uint8_t fill) {
  const size_t bytes = round_up(count * sizeof(T), 64) + 4096;
  void *data = aligned_alloc(64, round_up(bytes, 64));
  if (data == nullptr)
    exit(2);
  __builtin_memset(data, fill, bytes);
  return static_cast<T *>(data);
}

// The kernel, the peak and the cycle take turns, and each counts by its best round: who else uses the machine, and how
// fast its clock runs, changes from one moment to the next.
template <class Call> void measure(const char *kernel, const char *shape, double macs, const Peak &peak, Call &&call) {
  double best[] = {1e30, 1e30, 1e30};
  size_t times[] = {1, 1, 1};
  const auto keep = [&](int which, auto &&timed) {
    const double time = once(timed, times[which]);
    best[which] = time < best[which] ? time : best[which];
  };
  for (int round = 0; round < rounds; ++round) {
    keep(0, call);
    keep(1, wait_for_each_other);
    if (peak.macs > 0)
      keep(2, peak.run);
  }
  const double cycle = best[1] / cycle_chain, rate = macs * cycle / best[0];
  printf("%-15s %-28s %8.1f MAC a cycle", kernel, shape, rate);
  if (peak.macs > 0) {
    const double most = peak.macs * cycle / best[2];
    printf(", %3.0f %% of %.1f on registers", 100 * rate / most, most);
  }
  printf(" (%.2f GHz)\n", 1 / cycle);
}

struct Case {
  size_t pixels, taps, channels, outputs; // 3 rows of taps
};

constexpr Case binary[] = {{28, 3, 64, 64}, {14, 3, 256, 256}, {1, 1, 4096, 256}};
constexpr Case floats[] = {{28, 3, 3, 64}, {14, 1, 256, 64}};

// A row of a convolution, its windows read straight from the image.
void dots(const char *kernel, void (*run)(const Dots &), const Case &c, size_t word, size_t values, size_t block,
          const Peak &peak) {
  const size_t pixel = round_up(c.channels, values) / values * word, row = (c.pixels + c.taps) * pixel;
  const size_t words = c.taps * c.channels / values, blocks = (c.outputs + block - 1) / block, stride = blocks * block;
  uint8_t *image = memory<uint8_t>(3 * row, 0x5a), *weights = memory<uint8_t>(blocks * block * 3 * words * word, 1);
  int32_t *out = memory<int32_t>(c.pixels * stride, 0), *bases = memory<int32_t>(stride, 0);
  const Dots job{.first = image,
                 .count = c.pixels,
                 .pixel_step = pixel,
                 .run_step = row,
                 .runs = 3,
                 .run = words,
                 .weights = weights,
                 .blocks = blocks,
                 .base = 0,
                 .shift = 1,
                 .bases = bases,
                 .out = out,
                 .stride = stride};
  char shape[64];
  snprintf(shape, sizeof shape, "%zu pixels, 3x%zux%zu to %zu", c.pixels, c.taps, c.channels, c.outputs);
  const double macs = static_cast<double>(c.pixels * 3 * words * values * blocks * block);
  measure(kernel, shape, macs, peak, [&] { run(job); });
  free(image);
  free(weights);
  free(out);
  free(bases);
}

struct Whole {
  size_t side, channels;
};
constexpr Whole wholes[] = {{56, 64}, {28, 128}, {14, 256}, {7, 512}};

// A whole image: expanded, padded, to the bits of thresholds.
void convolution(const Kernels &set, const Convolver &convolver, size_t side, size_t channels, size_t kernel,
                 const Peaks &peaks) {
  const size_t pixel = channels / 8, width = side + kernel - 1, line = width * pixel, odd = side % 2;
  const size_t expanded_pixel = convolver.expanded(pixel), expanded_line = width * expanded_pixel;
  uint8_t *image = memory<uint8_t>((width + 2) * line, 0x5a),
          *rows = memory<uint8_t>(channels * kernel * kernel * pixel, 1);
  uint8_t *expanded = memory<uint8_t>((width + 1) * expanded_line, 0), *bits = memory<uint8_t>(side * side * pixel, 0);
  uint8_t *weights = memory<uint8_t>(convolver.weight_bytes(channels, kernel, kernel * pixel, pixel), 0);
  int16_t *limits = memory<int16_t>(round_up(channels, convolver.block), 0);
  uint8_t *flips = memory<uint8_t>(channels / 8 + 8, 0);
  Spot *spots = memory<Spot>(side * (side + 1), 0);
  uint32_t runs[7];
  for (size_t r = 0; r < kernel; ++r)
    runs[r] = static_cast<uint32_t>(r * expanded_line);
  convolver.pack({rows, channels, kernel, kernel * pixel, pixel, 0xff}, weights);
  size_t count = 0;
  const auto put = [&](size_t y, size_t x, size_t other_y, size_t other_x) {
    spots[count++] = {static_cast<uint32_t>((y * width + x) * expanded_pixel),
                      {static_cast<uint32_t>(y * side + x), static_cast<uint32_t>(other_y * side + other_x)},
                      {0, 0}};
  };
  const size_t step = convolver.pixels;
  for (size_t y = 0; y + (step == 2 ? odd : 0) < side; y += step)
    for (size_t x = 0; x < side; ++x)
      put(y, x, y + step - 1, x);
  for (size_t x = 0; step == 2 && odd != 0 && x < (side + 1) / 2; ++x) // the last row against itself, as layers do
    put(side - 1, x, side - 1, x + side / 2);
  char shape[64];
  snprintf(shape, sizeof shape, "%zux%zux%zu, %zux%zu, whole", side, side, channels, kernel, kernel);
  const double macs = static_cast<double>(side * side * kernel * kernel * channels * channels);
  const Peak &peak = begins(convolver.name, "lookup") ? peaks.lookup : peaks.bits;
  measure(convolver.name, shape, macs, peak, [&] {
    for (size_t y = 0; y < width; ++y)
      convolver.expand(image + y * line, image + (y + 1) * line, width, pixel, expanded + y * expanded_line);
    convolver.run({.image = expanded,
                   .spots = spots,
                   .count = count,
                   .runs = runs,
                   .run_count = kernel,
                   .run_bytes = kernel * pixel,
                   .tap = pixel,
                   .weights = weights,
                   .outputs = channels,
                   .base = 0,
                   .borders = nullptr,
                   .border_stride = 0,
                   .limits = limits,
                   .flips = flips,
                   .pooled = false,
                   .to = bits,
                   .pixel = pixel});
  });
  if (&convolver == set.convolver &&
      pixel % set.word == 0) { // by rows of sums and a pass of thresholds: what serves where this kernel does not fit
    const size_t stride = round_up(channels, set.block);
    uint8_t *words = memory<uint8_t>(stride * kernel * kernel * pixel, 1);
    int32_t *sums = memory<int32_t>(side * stride, 0), *taus = memory<int32_t>(stride, 0);
    measure(set.bits_name, shape, macs, peaks.bits, [&] {
      for (size_t y = 0; y < side; ++y) {
        set.disagreements({.first = image + y * line,
                           .count = side,
                           .pixel_step = pixel,
                           .run_step = line,
                           .runs = kernel,
                           .run = kernel * pixel / set.word,
                           .weights = words,
                           .blocks = stride / set.block,
                           .base = 0,
                           .shift = 1,
                           .bases = nullptr,
                           .out = sums,
                           .stride = stride});
        for (size_t x = 0; x < side; ++x)
          set.threshold(sums + x * stride, taus, flips, static_cast<int64_t>(channels), bits + (y * side + x) * pixel);
      }
    });
    free(words);
    free(sums);
    free(taus);
  }
  free(image);
  free(rows);
  free(expanded);
  free(bits);
  free(weights);
  free(limits);
  free(flips);
  free(spots);
}

void sums(const Kernels &set, const Case &c, const Peak &peak) {
  Layer layer;
  layer.window.kernel[0] = 3;
  layer.window.kernel[1] = static_cast<int64_t>(c.taps);
  layer.inputs = static_cast<int64_t>(c.channels);
  layer.outputs = static_cast<int64_t>(c.outputs);
  layer.width = static_cast<int64_t>(c.pixels);
  layer.blocked = static_cast<int64_t>(round_up(c.outputs, set.real_block));
  layer.block = set.real_block;
  const size_t width = c.pixels + c.taps - 1, blocked = static_cast<size_t>(layer.blocked);
  float *image = memory<float>(3 * width * c.channels, 0), *out = memory<float>(c.pixels * blocked, 0);
  float *weights = memory<float>(3 * c.taps * c.channels * blocked, 0);
  layer.weights = reinterpret_cast<uint8_t *>(weights);
  const Sums job{&layer, image, 3, static_cast<int64_t>(width), 0, layer.width, out, blocked, 0, layer.outputs};
  char shape[64];
  snprintf(shape, sizeof shape, "%zu pixels, 3x%zux%zu to %zu", c.pixels, c.taps, c.channels, c.outputs);
  const double macs = static_cast<double>(c.pixels * 3 * c.taps * c.channels * blocked);
  measure(set.real_name, shape, macs, peak, [&] { set.sums(job); });
  free(image);
  free(weights);
  free(out);
}

} // namespace

} // namespace bnnt

int main() {
  using namespace bnnt;
  printf("the best of %d rounds, one thread\n", rounds);
  for (int32_t i = 0; i < kernel_set_count; ++i) {
    const Kernels &set = kernel_sets[i];
    if (!set.runs_here()) {
      printf("%s: this CPU does not run it\n", set.name);
      continue;
    }
    const Peaks &peaks = peaks_of(set.name);
    for (const Case &c : binary)
      dots(set.bits_name, set.disagreements, c, set.word, 8 * set.word, set.block, peaks.bits);
    const Convolver *const convolvers[] = {set.convolver, set.narrow};
    for (const Convolver *convolver : convolvers) {
      if (convolver == nullptr)
        continue;
      for (const Whole &whole : wholes)
        convolution(set, *convolver, whole.side, whole.channels, 3, peaks);
      convolution(set, *convolver, 28, 128, 1, peaks);
    }
    dots(set.bytes_name, set.products, {28, 3, 32, 64}, set.values, set.values, set.bytes_block, peaks.bytes);
    if (set.byte_products != set.products)
      dots("any bytes", set.byte_products, {28, 3, 32, 64}, set.values, set.values, set.bytes_block, {});
    for (const Case &c : floats)
      sums(set, c, peaks.real);
  }
}
