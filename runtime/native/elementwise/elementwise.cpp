#include "elementwise.hpp"

#include "../kernels/kernels.hpp"
#include "../layer/gather.hpp"

namespace bnnt {

void pixel_input(const Call &call) {
  const int32_t offset = static_cast<int32_t>(call.node.offset);
  int32_t *to = call.out<int32_t>();
  for (int64_t i = 0; i < call.x.elements(); ++i)
    to[i] = call.from[i] - offset;
}

void pixel_normalize(const Call &call) {
  const uint8_t *from = call.from;
  float *to = call.out<float>();
  for (int64_t p = 0; p < call.x.pixels(); ++p)
    for (int64_t c = 0; c < call.x.channels; ++c) {
      const float centred = static_cast<float>(*from++) - call.node.shifts[c];
      *to++ = centred * call.node.scales[c];
    }
}

void sign(const Call &call) {
  const Value &x = call.x;
  const float *from = call.in<float>();
  uint8_t *to = call.to;
  for (int64_t p = 0; p < x.pixels(); ++p, from += x.channels)
    for (int64_t first = 0; first < x.channels; first += 8) {
      const int64_t count = x.channels - first < 8 ? x.channels - first : 8;
      unsigned bits = 0;
      for (int64_t i = 0; i < count; ++i)
        bits |= static_cast<unsigned>(!(from[first + i] >= 0.0f)) << i; // NaN is -1
      *to++ = static_cast<uint8_t>(bits);
    }
}

void to_real(const Call &call) {
  const Value &x = call.x;
  const uint8_t *from = call.from;
  float *to = call.out<float>();
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

void flatten(const Call &call) {
  const Value &x = call.x;
  const uint8_t *from = call.from;
  uint8_t *to = call.to;
  if (x.kind != Kind::bits || x.channels % 8 == 0) {
    __builtin_memcpy(to, from, static_cast<size_t>(x.bytes));
    return;
  }
  const uint64_t channels = static_cast<uint64_t>(x.channels);
  __builtin_memset(to, 0, static_cast<size_t>((x.elements() + 7) / 8));
  for (int64_t p = 0; p < x.pixels(); ++p)
    append_bits(to, static_cast<uint64_t>(p) * channels, from + p * x.packed(), 0, channels);
}

void threshold(const Call &call) {
  const Node &node = call.node;
  const int64_t channels = call.x.channels;
  for (int64_t p = 0; p < call.x.pixels(); ++p)
    call.session.kernels->threshold(call.in<int32_t>() + p * channels, node.taus, node.flips, channels,
                                    call.to + p * call.result.packed());
}

namespace {

template <class T> void scale(const Call &call) {
  const T *from = call.in<T>();
  float *to = call.out<float>();
  for (int64_t p = 0; p < call.x.pixels(); ++p)
    for (int64_t c = 0; c < call.x.channels; ++c) {
      const float product = static_cast<float>(*from++) * call.node.scales[c];
      *to++ = product + call.node.shifts[c];
    }
}

} // namespace

void affine(const Call &call) { call.x.kind == Kind::acc ? scale<int32_t>(call) : scale<float>(call); }

void relu(const Call &call) {
  const float *from = call.in<float>();
  float *to = call.out<float>();
  for (int64_t i = 0; i < call.x.elements(); ++i)
    to[i] = from[i] <= 0.0f ? 0.0f : from[i]; // NaN stays
}

void prelu(const Call &call) {
  const float *from = call.in<float>();
  float *to = call.out<float>();
  for (int64_t p = 0; p < call.x.pixels(); ++p)
    for (int64_t c = 0; c < call.x.channels; ++c, ++from)
      *to++ = *from >= 0.0f ? *from : *from * call.node.scales[c];
}

void hardtanh(const Call &call) {
  const float *from = call.in<float>();
  float *to = call.out<float>();
  for (int64_t i = 0; i < call.x.elements(); ++i)
    to[i] = from[i] < -1.0f ? -1.0f : from[i] > 1.0f ? 1.0f : from[i];
}

void add(const Call &call) {
  const float *a = call.in<float>(), *b = reinterpret_cast<const float *>(call.second());
  float *to = call.out<float>();
  for (int64_t i = 0; i < call.x.elements(); ++i)
    to[i] = a[i] + b[i];
}

void average(const Call &call) {
  const Value &x = call.x;
  const float *from = call.in<float>();
  float *to = call.out<float>();
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

void max_pool(const Call &call) {
  const Window &window = call.node.pool;
  if (call.x.kind == Kind::bits)
    pool(window, call.x, call.result, call.x.packed(), call.from, call.to);
  else if (call.x.kind == Kind::acc)
    pool(window, call.x, call.result, call.x.channels, call.in<int32_t>(), call.out<int32_t>());
  else
    pool(window, call.x, call.result, call.x.channels, call.in<float>(), call.out<float>());
}

} // namespace bnnt
