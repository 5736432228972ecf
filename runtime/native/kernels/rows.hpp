// What operators without weights do to a row of pixels. Written once and compiled into every kernel set with that set's
// vectors, hence the unnamed namespace. Sources and targets may be the same memory.
#pragma once

#include "kernels.hpp"
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
    if constexpr (sizeof x == sizeof(float))
      return static_cast<float>(x);
    else if constexpr (__is_same(T, Integers))
      return __builtin_convertvector(x, Reals);
    else
      return x;
  }

  template <class From, class Vector> static void scale(const From *from, size_t pixels, size_t channels,
                                                        const float *scales, const float *shifts, float *to) {
    for (size_t p = 0; p < pixels; ++p, from += channels, to += channels)
      for_all<From, Vector>(from, channels, to, [&](auto x, size_t c) {
        const auto product = real(x) * like(real(x), scales + c);
        return product + like(real(x), shifts + c);
      });
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

  static void maximum(float *to, const float *from, size_t count) { // NaN stays
    for_all<float, Reals>(to, count, to, [&](auto a, size_t i) {
      const auto b = like(a, from + i);
      return a != a ? a : a > b ? a : b;
    });
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

  static constexpr Rows rows = {affine, affine_of_integers, prelu, relu, hardtanh, add, maximum, sign};
};

} // namespace
} // namespace bnnt
