#include "elementwise.hpp"

#include "../kernels/kernels.hpp"
#include "../layer/gather.hpp"

namespace bnnt {

namespace {

// What a part reads and writes where row r of the one is made of row r of the other.
template <class From, class To> struct RowsHere {
  const From *from;
  To *to;
  size_t pixels, channels;

  RowsHere(const Call &call, const Part &part, int64_t from_width, int64_t to_width)
      : from(call.in<From>() + part.begin * call.x.width * from_width),
        to(call.out<To>() + part.begin * call.x.width * to_width),
        pixels(static_cast<size_t>((part.end - part.begin) * call.x.width * call.images)),
        channels(static_cast<size_t>(call.x.channels)) {}
  RowsHere(const Call &call, const Part &part) : RowsHere(call, part, call.x.channels, call.x.channels) {}

  size_t count() const { return pixels * channels; }
};

const Rows &kernels_of(const Call &call) { return *call.session.kernels->rows; }

} // namespace

void pixel_input(const Call &call, const Part &part) {
  const int32_t offset = static_cast<int32_t>(call.node.offset);
  const RowsHere<uint8_t, int32_t> rows(call, part);
  for (size_t i = 0; i < rows.count(); ++i)
    rows.to[i] = rows.from[i] - offset;
}

void pixel_normalize(const Call &call, const Part &part) {
  const RowsHere<uint8_t, float> rows(call, part);
  kernels_of(call).normalize(rows.from, rows.pixels, rows.channels, call.node.scales, call.node.shifts, rows.to);
}

void sign(const Call &call, const Part &part) {
  const RowsHere<float, uint8_t> rows(call, part, call.x.channels, call.x.packed());
  kernels_of(call).sign(rows.from, rows.pixels, rows.channels, rows.to);
}

void to_real(const Call &call, const Part &part) {
  if (call.x.kind == Kind::acc) {
    const RowsHere<int32_t, float> rows(call, part);
    for (size_t i = 0; i < rows.count(); ++i)
      rows.to[i] = static_cast<float>(rows.from[i]);
    return;
  }
  const RowsHere<uint8_t, float> rows(call, part, call.x.packed(), call.x.channels);
  const uint8_t *from = rows.from;
  float *to = rows.to;
  for (size_t p = 0; p < rows.pixels; ++p, from += call.x.packed())
    for (size_t c = 0; c < rows.channels; ++c)
      *to++ = (from[c / 8] >> c % 8 & 1) != 0 ? -1.0f : 1.0f;
}

void flatten(const Call &call, const Part &) {
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

void threshold(const Call &call, const Part &part) {
  const Node &node = call.node;
  const RowsHere<int32_t, uint8_t> rows(call, part, call.x.channels, call.x.packed());
  for (size_t p = 0; p < rows.pixels; ++p)
    call.session.kernels->threshold(rows.from + p * rows.channels, node.taus, node.flips, call.x.channels,
                                    rows.to + p * static_cast<size_t>(call.x.packed()));
}

void affine(const Call &call, const Part &part) {
  const Node &node = call.node;
  const RowsHere<float, float> rows(call, part);
  if (call.x.kind == Kind::acc)
    kernels_of(call).affine_of_integers(reinterpret_cast<const int32_t *>(rows.from), rows.pixels, rows.channels,
                                        node.scales, node.shifts, rows.to);
  else
    kernels_of(call).affine(rows.from, rows.pixels, rows.channels, node.scales, node.shifts, rows.to);
}

void relu(const Call &call, const Part &part) {
  const RowsHere<float, float> rows(call, part);
  kernels_of(call).relu(rows.from, rows.count(), rows.to);
}

void prelu(const Call &call, const Part &part) {
  const RowsHere<float, float> rows(call, part);
  kernels_of(call).prelu(rows.from, rows.pixels, rows.channels, call.node.scales, rows.to);
}

void hardtanh(const Call &call, const Part &part) {
  const RowsHere<float, float> rows(call, part);
  kernels_of(call).hardtanh(rows.from, rows.count(), rows.to);
}

void add(const Call &call, const Part &part) {
  const RowsHere<float, float> rows(call, part);
  const float *other = reinterpret_cast<const float *>(call.other) + (rows.from - call.in<float>());
  kernels_of(call).add(rows.from, other, rows.count(), rows.to);
}

void average(const Call &call, const Part &) {
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

// Pixel after pixel, each by `maximum(to, from, count)`.
template <class T, class Maximum> void each_pixel(const Under<T> &window, size_t width, T *to, Maximum &&maximum) {
  __builtin_memcpy(to, window.first, width * sizeof(T));
  for (size_t y = 0; y < window.rows; ++y)
    for (size_t x = y == 0 ? 1 : 0; x < window.columns; ++x)
      maximum(to, window.first + y * window.line + x * width, width);
}

// `width` numbers a pixel; every window holds at least one pixel of the image.
template <class T, class Largest> void pool(const Call &call, const Part &part, int64_t width, Largest &&largest) {
  const Window &window = call.node.pool;
  const Value &x = call.x;
  const auto size = [](int64_t from, int64_t to) { return static_cast<size_t>(to - from); };
  T *to = call.out<T>() + part.begin * call.result.width * width;
  for (int64_t row = part.begin; row < part.end; ++row) {
    const int64_t top = row * window.strides[0] - window.pads[0], first = top > 0 ? top : 0;
    const int64_t bottom = top + window.kernel[0] < x.height ? top + window.kernel[0] : x.height;
    for (int64_t column = 0; column < call.result.width; ++column, to += width) {
      const int64_t left = column * window.strides[1] - window.pads[1], start = left > 0 ? left : 0;
      const int64_t right = left + window.kernel[1] < x.width ? left + window.kernel[1] : x.width;
      const T *pixel = call.in<T>() + (first * x.width + start) * width;
      largest(Under<T>{pixel, size(first, bottom), size(start, right), size(0, x.width * width)}, size(0, width), to);
    }
  }
}

} // namespace

void max_pool(const Call &call, const Part &part) {
  if (call.x.kind == Kind::real)
    return pool<float>(call, part, call.x.channels, kernels_of(call).maximum);
  if (call.x.kind == Kind::acc)
    return pool<int32_t>(call, part, call.x.channels, [&](const Under<int32_t> &window, size_t width, int32_t *to) {
      each_pixel(window, width, to, call.session.kernels->maximum);
    });
  pool<uint8_t>(call, part, call.x.packed(), [](const Under<uint8_t> &window, size_t width, uint8_t *to) {
    each_pixel(window, width, to, [](uint8_t *most, const uint8_t *from, size_t count) { // bit 1 is -1
      for (size_t i = 0; i < count; ++i)
        most[i] &= from[i];
    });
  });
}

} // namespace bnnt
