#include "gather.hpp"

namespace bnnt {

void append_bits(uint8_t *target, uint64_t to, const uint8_t *source, uint64_t from, uint64_t count) {
  while (count > 0) {
    const uint64_t room = 8 - to % 8, have = 8 - from % 8;
    uint64_t step = room < have ? room : have;
    step = step < count ? step : count;
    const unsigned bits = (source[from / 8] >> from % 8) & ((1u << step) - 1);
    target[to / 8] = static_cast<uint8_t>(target[to / 8] | bits << to % 8);
    to += step;
    from += step;
    count -= step;
  }
}

namespace {

// `count` taps of one row from column `at` on, side by side in memory: what lies outside the image is 0.
void copy_run(uint8_t *patch, const uint8_t *line, int64_t at, int64_t count, int64_t width, int64_t bytes) {
  const int64_t before = at < 0 ? (-at < count ? -at : count) : 0;
  const int64_t end = at + count < width ? at + count : width;
  const int64_t inside = end - (at + before) > 0 ? end - (at + before) : 0;
  const int64_t after = count - before - inside;
  __builtin_memset(patch, 0, static_cast<size_t>(before * bytes));
  if (inside > 0)
    __builtin_memcpy(patch + before * bytes, line + (at + before) * bytes, static_cast<size_t>(inside * bytes));
  __builtin_memset(patch + (before + inside) * bytes, 0, static_cast<size_t>(after * bytes));
}

} // namespace

void gather_bits(const Layer &layer, const Value &x, const uint8_t *from, int64_t row, int64_t column, int64_t g,
                 uint8_t *patch, size_t bytes) {
  const Window &window = layer.window;
  const int64_t pixel = x.packed(), tap = (layer.inputs + 7) / 8;
  const int64_t left = column * window.strides[1] - window.pads[1];
  uint8_t *const end = patch + bytes;
  for (int64_t ky = 0; ky < window.kernel[0]; ++ky) {
    const int64_t y = row * window.strides[0] - window.pads[0] + ky * window.dilations[0];
    const size_t run = static_cast<size_t>(window.kernel[1] * tap);
    if (y < 0 || y >= x.height) {
      __builtin_memset(patch, 0, run);
    } else if (layer.group == 1 && window.dilations[1] == 1) {
      copy_run(patch, from + y * x.width * pixel, left, window.kernel[1], x.width, pixel);
    } else {
      __builtin_memset(patch, 0, run);
      for (int64_t kx = 0; kx < window.kernel[1]; ++kx) {
        const int64_t at = left + kx * window.dilations[1];
        if (at >= 0 && at < x.width)
          append_bits(patch + kx * tap, 0, from + (y * x.width + at) * pixel, static_cast<uint64_t>(g * layer.inputs),
                      static_cast<uint64_t>(layer.inputs));
      }
    }
    patch += run;
  }
  __builtin_memset(patch, 0, static_cast<size_t>(end - patch));
}

namespace {

// Byte j of the result holds bit j of each of the eight bytes, the first one lowest (Hacker's Delight, 7-3).
uint64_t transpose(uint64_t x) {
  uint64_t t = (x ^ x >> 7) & 0x00aa00aa00aa00aau;
  x ^= t ^ t << 7;
  t = (x ^ x >> 14) & 0x0000cccc0000ccccu;
  x ^= t ^ t << 14;
  t = (x ^ x >> 28) & 0x00000000f0f0f0f0u;
  return x ^ t ^ t << 28;
}

} // namespace

void gather_planes(const Layer &layer, const Value &x, const int32_t *from, int64_t row, int64_t column, int64_t g,
                   uint32_t *values, uint8_t *patches, size_t bytes) {
  const Window &window = layer.window;
  const uint32_t low = static_cast<uint32_t>(layer.low);
  uint32_t *value = values;
  for (int64_t ky = 0; ky < window.kernel[0]; ++ky) {
    const int64_t y = row * window.strides[0] - window.pads[0] + ky * window.dilations[0];
    for (int64_t kx = 0; kx < window.kernel[1]; ++kx) {
      const int64_t at = column * window.strides[1] - window.pads[1] + kx * window.dilations[1];
      const bool inside = y >= 0 && y < x.height && at >= 0 && at < x.width;
      const int32_t *pixel = inside ? from + (y * x.width + at) * x.channels + g * layer.inputs : nullptr;
      for (int64_t i = 0; i < layer.inputs; ++i)
        *value++ = (inside ? static_cast<uint32_t>(pixel[i]) : static_cast<uint32_t>(layer.pad_value)) - low;
    }
  }
  const int64_t count = layer.weights_of_one();
  for (int64_t i = count; i % 8 != 0; ++i)
    *value++ = 0;
  for (int32_t p = 0; p < layer.planes; ++p)
    __builtin_memset(patches + static_cast<size_t>(p) * bytes + count / 8, 0, bytes - static_cast<size_t>(count / 8));
  for (int32_t first = 0; first < layer.planes; first += 8) {
    for (int64_t i = 0; i < count; i += 8) {
      uint64_t eight = 0;
      for (int lane = 0; lane < 8; ++lane)
        eight |= static_cast<uint64_t>(values[i + lane] >> first & 0xff) << 8 * lane;
      eight = transpose(eight);
      for (int32_t p = first; p < first + 8 && p < layer.planes; ++p)
        patches[static_cast<size_t>(p) * bytes + static_cast<size_t>(i / 8)] =
            static_cast<uint8_t>(eight >> 8 * (p - first));
    }
  }
}

void gather_bytes(const uint8_t *from, size_t count, size_t pixel_step, size_t run_step, size_t runs, size_t run,
                  size_t window, uint8_t *patches) {
  for (size_t p = 0; p < count; ++p, from += pixel_step, patches += window)
    for (size_t r = 0; r < runs; ++r)
      for (size_t i = 0; i < run; i += gather_step) // what is too much is written over by what follows
        __builtin_memcpy(patches + r * run + i, from + r * run_step + i, gather_step);
}

} // namespace bnnt
