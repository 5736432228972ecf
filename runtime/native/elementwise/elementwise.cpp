#include "elementwise.hpp"

#include "../layer/gather.hpp"

namespace bnnt {

void pixel_input(const Node &node, const Value &x, const uint8_t *from, int32_t *to) {
  const int32_t offset = static_cast<int32_t>(node.offset);
  for (int64_t i = 0; i < x.elements(); ++i)
    to[i] = from[i] - offset;
}

void pixel_normalize(const Node &node, const Value &x, const uint8_t *from, float *to) {
  for (int64_t p = 0; p < x.pixels(); ++p)
    for (int64_t c = 0; c < x.channels; ++c) {
      const float centred = static_cast<float>(*from++) - node.shifts[c];
      *to++ = centred * node.scales[c];
    }
}

void sign(const Value &x, const float *from, uint8_t *to) {
  for (int64_t p = 0; p < x.pixels(); ++p, from += x.channels)
    for (int64_t first = 0; first < x.channels; first += 8) {
      const int64_t count = x.channels - first < 8 ? x.channels - first : 8;
      unsigned bits = 0;
      for (int64_t i = 0; i < count; ++i)
        bits |= static_cast<unsigned>(!(from[first + i] >= 0.0f)) << i; // NaN is -1
      *to++ = static_cast<uint8_t>(bits);
    }
}

void to_real(const Value &x, const uint8_t *from, float *to) {
  if (x.kind == Kind::acc) {
    const int32_t *acc = reinterpret_cast<const int32_t *>(from);
    for (int64_t i = 0; i < x.elements(); ++i)
      to[i] = static_cast<float>(acc[i]);
    return;
  }
  for (int64_t p = 0; p < x.pixels(); ++p, from += x.packed())
    for (int64_t c = 0; c < x.channels; ++c)
      *to++ = (from[c / 8] >> c % 8 & 1) != 0 ? -1.0f : 1.0f;
}

void flatten(const Value &x, const uint8_t *from, uint8_t *to) {
  if (x.kind != Kind::bits || x.channels % 8 == 0) {
    __builtin_memcpy(to, from, static_cast<size_t>(x.bytes));
    return;
  }
  const uint64_t channels = static_cast<uint64_t>(x.channels);
  __builtin_memset(to, 0, static_cast<size_t>((x.elements() + 7) / 8));
  for (int64_t p = 0; p < x.pixels(); ++p)
    append_bits(to, static_cast<uint64_t>(p) * channels, from + p * x.packed(), 0, channels);
}

namespace {

template <class T> void scale(const Node &node, const Value &x, const T *from, float *to) {
  for (int64_t p = 0; p < x.pixels(); ++p)
    for (int64_t c = 0; c < x.channels; ++c) {
      const float product = static_cast<float>(*from++) * node.scales[c];
      *to++ = product + node.shifts[c];
    }
}

} // namespace

void affine(const Node &node, const Value &x, const uint8_t *from, float *to) {
  if (x.kind == Kind::acc)
    scale(node, x, reinterpret_cast<const int32_t *>(from), to);
  else
    scale(node, x, reinterpret_cast<const float *>(from), to);
}

void relu(const Value &x, const float *from, float *to) {
  for (int64_t i = 0; i < x.elements(); ++i)
    to[i] = from[i] <= 0.0f ? 0.0f : from[i]; // NaN stays
}

void hardtanh(const Value &x, const float *from, float *to) {
  for (int64_t i = 0; i < x.elements(); ++i)
    to[i] = from[i] < -1.0f ? -1.0f : from[i] > 1.0f ? 1.0f : from[i];
}

void add(const Value &x, const float *a, const float *b, float *to) {
  for (int64_t i = 0; i < x.elements(); ++i)
    to[i] = a[i] + b[i];
}

void average(const Value &x, const float *from, float *to) {
  const float share = 1.0f / static_cast<float>(x.pixels());
  for (int64_t c = 0; c < x.channels; ++c)
    to[c] = 0.0f;
  for (int64_t p = 0; p < x.pixels(); ++p, from += x.channels)
    for (int64_t c = 0; c < x.channels; ++c)
      to[c] += from[c];
  for (int64_t c = 0; c < x.channels; ++c)
    to[c] *= share;
}

namespace {

int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }
float larger(float a, float b) { return a > b || a != a ? a : b; } // NaN stays
uint8_t larger(uint8_t a, uint8_t b) { return a & b; }             // bit 1 is -1

// `width` elements a pixel; every window holds at least one pixel of the image.
template <class T>
void pool(const Window &window, const Value &x, const Value &result, int64_t width, const T *from, T *to) {
  for (int64_t row = 0; row < result.height; ++row) {
    const int64_t top = row * window.strides[0] - window.pads[0];
    const int64_t bottom = top + window.kernel[0] < x.height ? top + window.kernel[0] : x.height;
    for (int64_t column = 0; column < result.width; ++column, to += width) {
      const int64_t left = column * window.strides[1] - window.pads[1];
      const int64_t right = left + window.kernel[1] < x.width ? left + window.kernel[1] : x.width;
      bool started = false;
      for (int64_t y = top > 0 ? top : 0; y < bottom; ++y)
        for (int64_t at = left > 0 ? left : 0; at < right; ++at) {
          const T *pixel = from + (y * x.width + at) * width;
          for (int64_t i = 0; i < width; ++i)
            to[i] = started ? larger(to[i], pixel[i]) : pixel[i];
          started = true;
        }
    }
  }
}

} // namespace

void max_pool(const Node &node, const Value &x, const Value &result, const uint8_t *from, uint8_t *to) {
  if (x.kind == Kind::bits)
    pool(node.pool, x, result, x.packed(), from, to);
  else if (x.kind == Kind::acc)
    pool(node.pool, x, result, x.channels, reinterpret_cast<const int32_t *>(from), reinterpret_cast<int32_t *>(to));
  else
    pool(node.pool, x, result, x.channels, reinterpret_cast<const float *>(from), reinterpret_cast<float *>(to));
}

} // namespace bnnt
