// The kernels of `Rows`: what operators without weights do, against single numbers.
#pragma once

#include "sums_test.hpp"

namespace bnnt {

namespace {

// Numbers, special ones and NaN.
float any_real(Noise &noise) { return noise.size(0, 19) == 0 ? __builtin_nanf("") : real(noise, true); }

class RowsTest {
public:
  RowsTest(const Kernels &of, size_t pixel_count, size_t channel_count, Noise &random)
      : set(of), kernels(*of.rows), noise(random), pixels(pixel_count), channels(channel_count),
        count(pixels * channels), x(count), y(count), to(count), scales(channels), shifts(channels), integers(count) {
    for (size_t i = 0; i < count; ++i) {
      x[i] = any_real(noise);
      y[i] = noise.size(0, 3) == 0 ? x[i] : any_real(noise);
      integers[i] = static_cast<int32_t>(noise.between(-acc_limit, acc_limit));
    }
    for (size_t c = 0; c < channels; ++c) {
      scales[c] = any_real(noise);
      shifts[c] = any_real(noise);
    }
  }

  void check() {
    const auto scaled = [&](float value, size_t i) {
      const float product = value * scales[i % channels];
      return product + shifts[i % channels];
    };
    kernels.affine(x.data(), pixels, channels, scales.data(), shifts.data(), to.data());
    expect("affine", [&](size_t i) { return scaled(x[i], i); });
    kernels.affine_of_integers(integers.data(), pixels, channels, scales.data(), shifts.data(), to.data());
    expect("affine_of_integers", [&](size_t i) { return scaled(static_cast<float>(integers[i]), i); });
    kernels.prelu(x.data(), pixels, channels, scales.data(), to.data());
    expect("prelu", [&](size_t i) { return x[i] >= 0.0f ? x[i] : x[i] * scales[i % channels]; });
    kernels.relu(x.data(), count, to.data());
    expect("relu", [&](size_t i) { return x[i] <= 0.0f ? 0.0f : x[i]; });
    kernels.hardtanh(x.data(), count, to.data());
    expect("hardtanh", [&](size_t i) { return x[i] < -1.0f ? -1.0f : x[i] > 1.0f ? 1.0f : x[i]; });
    kernels.add(x.data(), y.data(), count, to.data());
    expect("add", [&](size_t i) { return x[i] + y[i]; });
    check_normalize();
    check_maximum();
    memcpy(to.data(), x.data(), count * sizeof(float)); // in the place of its source
    kernels.affine(to.data(), pixels, channels, scales.data(), shifts.data(), to.data());
    expect("affine in place", [&](size_t i) { return scaled(x[i], i); });
    check_signs();
    ++cases;
  }

private:
  template <class Expected> void expect(const char *name, Expected &&expected) {
    char sizes[80];
    snprintf(sizes, sizeof sizes, "%zu pixels of %zu channels", pixels, channels);
    for (size_t i = 0; i < count; ++i) {
      const float number = expected(i);
      if (!same(to[i], number))
        differ(set, name, sizes, i, load<int32_t>(&number), load<int32_t>(&to[i]));
    }
  }

  void check_normalize() {
    Guarded<uint8_t> bytes(count);
    for (size_t i = 0; i < count; ++i)
      bytes[i] = static_cast<uint8_t>(noise.between(0, 255));
    kernels.normalize(bytes.data(), pixels, channels, scales.data(), shifts.data(), to.data());
    expect("normalize", [&](size_t i) {
      const float centred = static_cast<float>(bytes[i]) - shifts[i % channels];
      return centred * scales[i % channels];
    });
  }

  // Each window that begins at a pixel of the one row that there is, and two rows whose second one is the first again.
  void check_maximum() {
    for (size_t begin = 0; begin < pixels; ++begin) {
      const size_t columns = noise.size(1, pixels - begin), first = begin * channels;
      memcpy(to.data(), x.data(), count * sizeof(float));
      kernels.maximum({x.data() + first, noise.size(1, 2), columns, 0}, channels, to.data() + first);
      expect("maximum of reals", [&](size_t i) {
        float most = x[i];
        for (size_t column = 1; i / channels == begin && column < columns; ++column) {
          const float next = x[i + column * channels];
          most = most > next || most != most ? most : next;
        }
        return most;
      });
    }
  }

  void check_signs() {
    const size_t packed = (channels + 7) / 8;
    Guarded<uint8_t> bits(pixels * packed);
    kernels.sign(x.data(), pixels, channels, bits.data());
    for (size_t i = 0; i < pixels * packed * 8; ++i) {
      const size_t c = i % (8 * packed);
      const bool expected = c < channels && !(x[i / (8 * packed) * channels + c] >= 0.0f);
      const bool found = (bits[i / 8] >> i % 8 & 1) != 0;
      if (found != expected)
        differ(set, "sign", "", i, expected, found);
    }
  }

  const Kernels &set;
  const Rows &kernels;
  Noise &noise;
  size_t pixels, channels, count;
  Guarded<float> x, y, to, scales, shifts;
  Guarded<int32_t> integers;
};

void rows(const Kernels &set) {
  Noise noise(6);
  for (size_t channels = 1; channels <= 140; ++channels)
    RowsTest(set, noise.size(1, channels < 5 ? 70 : 5), channels, noise).check();
}

} // namespace

} // namespace bnnt
