// One call of a kernel between two marks, for a trace of what is executed. KERNEL, SIDE, CHANNELS and OUTPUTS are
// given.
#include "kernels/neon/neon.hpp"
#include "layer/gather.hpp"

using namespace bnnt;

namespace {

constexpr size_t width = SIDE + 2, pixel = CHANNELS / 8, largest = 52; // bytes that a byte is expanded to

alignas(64) uint8_t image[8 * width * pixel + 256], expanded[4 * largest * width * pixel + 256];
alignas(64) uint8_t weights[16 * 9 * OUTPUTS * pixel + 4096], bits[2 * SIDE * OUTPUTS + 64], flips[OUTPUTS + 64];
alignas(64) int32_t sums[2 * SIDE * OUTPUTS + 64], bases[OUTPUTS + 64];
alignas(64) int16_t limits[OUTPUTS + 64];
Spot spots[2 * SIDE + 8];

__attribute__((noinline)) void mark(int which) { asm volatile("" ::"r"(which) : "memory"); }

// Two rows of a 3x3 convolution, to the bits of thresholds.
#if defined(CONVOLUTION)
void call() {
  const Convolver &kernel = KERNEL;
  const size_t tap = kernel.expanded(pixel), line = width * tap;
  const uint32_t runs[] = {0, static_cast<uint32_t>(line), static_cast<uint32_t>(2 * line)};
  size_t count = 0;
  for (size_t y = 0; y < 2; y += kernel.pixels)
    for (size_t x = 0; x < SIDE; ++x) {
      const uint32_t out = static_cast<uint32_t>(y * SIDE + x);
      const uint32_t other = kernel.pixels == 2 ? static_cast<uint32_t>(out + SIDE) : out;
      spots[count++] = {static_cast<uint32_t>(y * line + x * tap), {out, other}, {0, 0}};
    }
  mark(0);
  for (size_t y = 2; y < 4; ++y) // those before were expanded for the rows above
    kernel.expand(image + y * width * pixel, image + (y + 1) * width * pixel, width, pixel, expanded + y * line);
  kernel.run({.image = expanded,
              .spots = spots,
              .count = count,
              .runs = runs,
              .run_count = 3,
              .run_bytes = 3 * pixel,
              .tap = pixel,
              .weights = weights,
              .outputs = OUTPUTS,
              .base = 9 * CHANNELS,
              .borders = nullptr,
              .border_stride = 0,
              .limits = limits,
              .flips = flips,
              .pooled = false,
              .to = bits,
              .pixel = OUTPUTS / 8});
  mark(1);
}
#else // a row of a first layer: 3x3 windows of three bytes, with its thresholds
void call() {
  constexpr size_t run = (9 + VALUES - 1) / VALUES, together = (27 + VALUES - 1) / VALUES;
  constexpr bool gathered = worth_gathering(together, 3 * run);
  const Dots job{.first = gathered ? expanded : image,
                 .count = SIDE,
                 .pixel_step = gathered ? together * VALUES : 3,
                 .run_step = 3 * width,
                 .runs = gathered ? 1 : 3,
                 .run = gathered ? together : run,
                 .weights = weights,
                 .blocks = OUTPUTS / BLOCK,
                 .base = 0,
                 .shift = 0,
                 .bases = bases,
                 .out = sums,
                 .stride = OUTPUTS};
  mark(0);
  if (gathered)
    gather_bytes(image, SIDE, 3, 3 * width, 3, 9, job.pixel_step, expanded);
  KERNEL(job);
  for (size_t p = 0; p < SIDE; ++p)
    neon::threshold(sums + p * OUTPUTS, bases, flips, OUTPUTS, bits + p * OUTPUTS / 8);
  mark(1);
}
#endif

} // namespace

extern "C" {

void *memcpy(void *to, const void *from, size_t size) {
  for (size_t i = 0; i < size; i += 8) {
    static_cast<volatile uint64_t *>(to)[i / 8] = static_cast<const uint64_t *>(from)[i / 8];
  }
  return to;
}

void *memset(void *to, int value, size_t size) {
  for (size_t i = 0; i < size; ++i)
    static_cast<volatile uint8_t *>(to)[i] = static_cast<uint8_t>(value);
  return to;
}

void _start() {
  call();
  asm volatile("mov x8, #93\n mov x0, #0\n svc #0");
}
}
