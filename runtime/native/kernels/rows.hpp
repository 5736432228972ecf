// What operators without weights do to a row of pixels. Written once and compiled into every kernel set with that set's
// vectors, hence the unnamed namespace. Sources and targets may be the same memory.
#pragma once

#include "kernels.hpp"
#include "unroll.hpp"
#include "vectors.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace bnnt {
namespace {

// Which of eight reals are no +1, a bit each: NaN is -1.
inline unsigned negative_bits(const float *eight) {
#if defined(__AVX2__)
  return static_cast<unsigned>(
      _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(eight), _mm256_setzero_ps(), _CMP_NGE_UQ)));
#elif defined(__x86_64__)
  const int low = _mm_movemask_ps(_mm_cmpnge_ps(_mm_loadu_ps(eight), _mm_setzero_ps()));
  return static_cast<unsigned>(low | _mm_movemask_ps(_mm_cmpnge_ps(_mm_loadu_ps(eight + 4), _mm_setzero_ps())) << 4);
#elif defined(__aarch64__)
  static constexpr uint32_t places[] = {1, 2, 4, 8, 16, 32, 64, 128};
  const uint32x4_t low = vbicq_u32(vld1q_u32(places), vcgezq_f32(vld1q_f32(eight)));
  const uint32x4_t high = vbicq_u32(vld1q_u32(places + 4), vcgezq_f32(vld1q_f32(eight + 4)));
  return vaddvq_u32(vorrq_u32(low, high));
#else
  unsigned bits = 0;
  for (int i = 0; i < 8; ++i)
    bits |= static_cast<unsigned>(!(eight[i] >= 0.0f)) << i;
  return bits;
#endif
}

template <int bytes> struct RowsOf {
  using Reals = typename Vectors<bytes>::Reals;
  using Integers = typename Vectors<bytes>::Integers;
  using Bytes = typename Vectors<bytes>::Bytes;
  static constexpr size_t lanes = bytes / sizeof(float);

  // `each` takes vectors or single numbers: of the source at i, at index i.
  template <class From, class Vector, class Each>
  static void for_all(const From *from, size_t count, float *to, Each &&each) {
    size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
      const Reals result = each(load<Vector>(from + i), i);
      __builtin_memcpy(to + i, &result, sizeof result);
    }
    for (; i < count; ++i)
      to[i] = each(from[i], i);
  }

  // Parameters of one number a channel, as wide as the value that they meet.
  template <class T> static T like(T, const float *from) { return load<T>(from); }

  template <class T> static auto real(T x) {
    if constexpr (__is_same(T, Integers) || __is_same(T, Bytes))
      return __builtin_convertvector(x, Reals);
    else if constexpr (__is_same(T, Reals))
      return x;
    else
      return static_cast<float>(x);
  }

  template <class From, class Vector> static void scale(const From *from, size_t pixels, size_t channels,
                                                        const float *scales, const float *shifts, float *to) {
    for (size_t p = 0; p < pixels; ++p, from += channels, to += channels)
      for_all<From, Vector>(from, channels, to, [&](auto x, size_t c) {
        const auto product = real(x) * like(real(x), scales + c);
        return product + like(real(x), shifts + c);
      });
  }

  static void centre(const uint8_t *from, size_t pixels, size_t channels, const float *scales, const float *offsets,
                     float *to) {
    for (size_t p = 0; p < pixels; ++p, from += channels, to += channels)
      for_all<uint8_t, Bytes>(from, channels, to, [&](auto x, size_t c) {
        const auto centred = real(x) - like(real(x), offsets + c);
        return centred * like(real(x), scales + c);
      });
  }

  // Few channels make no vector: `lanes` pixels at a time are one of so many more channels.
  static void normalize(const uint8_t *from, size_t pixels, size_t channels, const float *scales, const float *offsets,
                        float *to) {
    constexpr size_t few = 4;
    if (channels <= few) {
      const size_t together = lanes * channels, whole = pixels / lanes;
      float repeated[2][few * lanes];
      for (size_t i = 0; i < together; ++i) {
        repeated[0][i] = scales[i % channels];
        repeated[1][i] = offsets[i % channels];
      }
      centre(from, whole, together, repeated[0], repeated[1], to);
      from += whole * together;
      to += whole * together;
      pixels -= whole * lanes;
    }
    centre(from, pixels, channels, scales, offsets, to);
  }

  static void affine(const float *from, size_t pixels, size_t channels, const float *scales, const float *shifts,
                     float *to) {
    scale<float, Reals>(from, pixels, channels, scales, shifts, to);
  }

  static void affine_of_integers(const int32_t *from, size_t pixels, size_t channels, const float *scales,
                                 const float *shifts, float *to) {
    scale<int32_t, Integers>(from, pixels, channels, scales, shifts, to);
  }

  static void prelu(const float *from, size_t pixels, size_t channels, const float *slopes, float *to) {
    for (size_t p = 0; p < pixels; ++p, from += channels, to += channels)
      for_all<float, Reals>(from, channels, to,
                            [&](auto x, size_t c) { return x >= 0.0f ? x : x * like(x, slopes + c); });
  }

  static void relu(const float *from, size_t count, float *to) {
    for_all<float, Reals>(from, count, to, [](auto x, size_t) { return x <= 0.0f ? decltype(x){} : x; });
  }

  static void hardtanh(const float *from, size_t count, float *to) {
    for_all<float, Reals>(from, count, to, [](auto x, size_t) {
      const auto one = decltype(x){} + 1.0f;
      return x < -1.0f ? -one : x > 1.0f ? one : x;
    });
  }

  static void add(const float *a, const float *b, size_t count, float *to) {
    for_all<float, Reals>(a, count, to, [&](auto x, size_t i) { return x + like(x, b + i); });
  }

  // `count` vectors of a pixel side by side, so that they stay in registers while the window goes by.
  template <class T, size_t count>
  static void largest(const Under<float> &window, size_t channels, size_t channel, float *to) {
    T most[count];
    BNNT_UNROLL
    for (size_t v = 0; v < count; ++v)
      most[v] = load<T>(window.first + channel + v * (sizeof(T) / sizeof(float)));
    for (size_t y = 0; y < window.rows; ++y)
      for (size_t x = 0; x < window.columns; ++x) {
        const float *from = window.first + y * window.line + x * channels + channel;
        BNNT_UNROLL
        for (size_t v = 0; v < count; ++v) {
          const T a = most[v], b = load<T>(from + v * (sizeof(T) / sizeof(float)));
          most[v] = a != a ? a : a > b ? a : b; // NaN stays
        }
      }
    __builtin_memcpy(to + channel, most, sizeof most);
  }

  static void maximum(const Under<float> &window, size_t channels, float *to) {
    size_t c = 0;
    for (; c + 4 * lanes <= channels; c += 4 * lanes)
      largest<Reals, 4>(window, channels, c, to);
    for (; c + lanes <= channels; c += lanes)
      largest<Reals, 1>(window, channels, c, to);
    for (; c < channels; ++c)
      largest<float, 1>(window, channels, c, to);
  }

  static void sign(const float *from, size_t pixels, size_t channels, uint8_t *to) {
    for (size_t p = 0; p < pixels; ++p, from += channels) {
      size_t c = 0;
      for (; c + 8 <= channels; c += 8)
        *to++ = static_cast<uint8_t>(negative_bits(from + c));
      if (c == channels)
        continue;
      float last[8] = {}; // 0 is +1
      __builtin_memcpy(last, from + c, (channels - c) * sizeof *last);
      *to++ = static_cast<uint8_t>(negative_bits(last));
    }
  }

  static constexpr Rows rows = {normalize, affine, affine_of_integers, prelu, relu, hardtanh, add, maximum, sign};
};

} // namespace
} // namespace bnnt
