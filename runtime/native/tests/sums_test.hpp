// The kernel over `Sums`: reals in their fixed order.
#pragma once

#include "differ.hpp"
#include "guarded.hpp"
#include "noise.hpp"

namespace bnnt {

namespace {

// Ordinary numbers, and some that show another order, a fused rounding or a flush to zero.
float real(Noise &noise, bool hostile) {
  if (hostile && noise.size(0, 9) == 0) {
    static constexpr float special[] = {0.0f, -0.0f, 1e-45f, -1e-38f, 3e38f, -3e38f, __builtin_inff(), 16777217.0f};
    return special[noise.size(0, 7)];
  }
  return static_cast<float>(noise.between(-1000000, 1000000)) * 0x1.8p-17f;
}

bool same(float a, float b) {
  return __builtin_memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b); // which NaN comes out is nobody's promise
}

void sums(const Kernels &set) {
  Noise noise(4);
  for (int turn = 0; turn < 400; ++turn) {
    const bool hostile = turn % 4 == 0;
    Layer layer;
    Window &window = layer.window;
    for (int axis = 0; axis < 2; ++axis) {
      window.kernel[axis] = noise.between(1, 4);
      window.strides[axis] = noise.between(1, 3);
      window.dilations[axis] = noise.between(1, 2);
      window.pads[axis] = noise.between(0, 3);
      window.pads[axis + 2] = noise.between(0, 3);
    }
    const bool depthwise = turn % 5 == 0;
    layer.group = depthwise ? noise.between(2, 80) : noise.between(1, 3);
    layer.inputs = depthwise ? 1 : noise.between(1, 9);
    layer.outputs = depthwise ? 1 : turn < 200 ? turn + 1 : noise.between(1, 80);
    layer.pad_counts = noise.next() >> 63 != 0;
    layer.block = set.real_block;
    layer.blocked =
        layer.depthwise() ? 1 : static_cast<int64_t>(round_up(static_cast<uint64_t>(layer.outputs), layer.block));
    const int64_t height = noise.between(1, 7), width = noise.between(1, 25);
    layer.width = noise.between(1, 20); // the kernel takes it as it is: windows that lie outside sum nothing
    const int64_t row = noise.between(0, 4), taps = layer.taps(), channels = layer.group * layer.inputs;
    Guarded<float> x(static_cast<size_t>(height * width * channels));
    Guarded<float> rows(static_cast<size_t>(layer.channels() * taps * layer.inputs)); // [output][tap][input]
    const uint64_t slots = layer.depthwise() ? round_up(static_cast<uint64_t>(layer.group), layer.block)
                                             : static_cast<uint64_t>(layer.group * layer.blocked);
    Guarded<float> weights(slots * static_cast<size_t>(taps * layer.inputs), 0);
    Guarded<float> bias(static_cast<size_t>(layer.group * layer.blocked), 0),
        biases(static_cast<size_t>(layer.channels()), 0);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = real(noise, hostile);
    for (size_t i = 0; i < rows.size(); ++i)
      rows[i] = real(noise, hostile);
    const bool has_bias = noise.next() >> 63 != 0;
    for (int64_t g = 0; g < layer.group; ++g)
      for (int64_t o = 0; o < layer.outputs; ++o) {
        const int64_t output = g * layer.outputs + o, slot = g * layer.blocked + o;
        if (has_bias)
          bias[static_cast<size_t>(slot)] = biases[static_cast<size_t>(output)] = real(noise, hostile);
        for (int64_t tap = 0; tap < taps; ++tap)
          for (int64_t i = 0; i < layer.inputs; ++i)
            weights[static_cast<size_t>(sums_weight(layer, g, o, tap, i))] =
                rows[static_cast<size_t>((output * taps + tap) * layer.inputs + i)];
      }
    layer.weights = reinterpret_cast<uint8_t *>(weights.data());
    layer.bias = has_bias ? bias.data() : nullptr;
    const size_t stride = round_up(static_cast<uint64_t>((layer.group - 1) * layer.outputs + layer.blocked), 16);
    Guarded<float> out(static_cast<size_t>(layer.width - 1) * stride +
                       static_cast<size_t>((layer.group - 1) * layer.outputs + layer.blocked));
    Outputs wanted = {0, layer.outputs}; // of each group
    if (!depthwise && turn % 3 == 0) {
      const int64_t block = static_cast<int64_t>(layer.block);
      wanted.first = noise.between(0, (layer.outputs - 1) / block) * block;
      wanted.end = noise.between(wanted.first + 1, layer.outputs);
    }
    set.sums({&layer, x.data(), height, width, row, layer.width, out.data(), stride, wanted.first, wanted.end});
    char sizes[160];
    snprintf(sizes, sizeof sizes, "%lldx%lld windows of %lld inputs, %lld groups of %lld outputs",
             static_cast<long long>(window.kernel[0]), static_cast<long long>(window.kernel[1]),
             static_cast<long long>(layer.inputs), static_cast<long long>(layer.group),
             static_cast<long long>(layer.outputs));
    for (int64_t column = 0; column < layer.width; ++column)
      for (int64_t output = 0; output < layer.channels(); ++output) {
        if (output % layer.outputs < wanted.first || output % layer.outputs >= wanted.end)
          continue;
        float sum = biases[static_cast<size_t>(output)];
        for (int64_t ky = 0; ky < window.kernel[0]; ++ky)
          for (int64_t kx = 0; kx < window.kernel[1]; ++kx) {
            const int64_t y = row * window.strides[0] - window.pads[0] + ky * window.dilations[0];
            const int64_t at = column * window.strides[1] - window.pads[1] + kx * window.dilations[1];
            const bool inside = y >= 0 && y < height && at >= 0 && at < width;
            for (int64_t i = 0; (inside || layer.pad_counts) && i < layer.inputs; ++i) {
              const float value =
                  inside
                      ? x[static_cast<size_t>((y * width + at) * channels + output / layer.outputs * layer.inputs + i)]
                      : 1.0f;
              sum = sum +
                    value * rows[static_cast<size_t>((output * taps + ky * window.kernel[1] + kx) * layer.inputs + i)];
            }
          }
        const size_t at = static_cast<size_t>(column) * stride + static_cast<size_t>(output);
        if (!same(out[at], sum))
          differ(set, "sums", sizes, at, load<int32_t>(&sum), load<int32_t>(&out[at]));
      }
    ++cases;
  }
}

} // namespace

} // namespace bnnt
