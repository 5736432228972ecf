// The row that `Kernels::sums` computes. Written once and compiled into every kernel set with that set's instructions,
// hence the unnamed namespace: functions of one name would be merged by the linker.
#pragma once

#include "kernels.hpp"

namespace bnnt {
namespace {

template <int lanes> void sum_row(const Sums &job) {
  const Layer &layer = *job.layer;
  const Window &window = layer.window;
  const int64_t blocks = layer.blocked / lanes;
  const int64_t channels = layer.inputs * layer.group;
  const int64_t top = job.row * window.strides[0] - window.pads[0];
  for (int64_t column = 0; column < layer.width; ++column) {
    const int64_t left = column * window.strides[1] - window.pads[1];
    for (int64_t g = 0; g < layer.group; ++g) {
      for (int64_t block = 0; block < blocks; ++block) {
        float sum[lanes];
        const int64_t first = g * layer.blocked + block * lanes;
        for (int lane = 0; lane < lanes; ++lane)
          sum[lane] = layer.bias == nullptr ? 0.0f : layer.bias[first + lane];
        const float *weight = reinterpret_cast<const float *>(layer.weights) + first * layer.weights_of_one();
        for (int64_t ky = 0; ky < window.kernel[0]; ++ky) {
          const int64_t row = top + ky * window.dilations[0];
          for (int64_t kx = 0; kx < window.kernel[1]; ++kx, weight += layer.inputs * lanes) {
            const int64_t at = left + kx * window.dilations[1];
            if (row >= 0 && row < job.height && at >= 0 && at < job.width) {
              const float *pixel = job.x + (row * job.width + at) * channels + g * layer.inputs;
              for (int64_t input = 0; input < layer.inputs; ++input)
                for (int lane = 0; lane < lanes; ++lane)
                  sum[lane] = sum[lane] + pixel[input] * weight[input * lanes + lane];
            } else if (layer.pad_counts) {
              for (int64_t input = 0; input < layer.inputs; ++input)
                for (int lane = 0; lane < lanes; ++lane)
                  sum[lane] = sum[lane] + weight[input * lanes + lane];
            }
          }
        }
        float *out = job.out + static_cast<size_t>(column) * job.stride + g * layer.outputs + block * lanes;
        for (int lane = 0; lane < lanes; ++lane)
          out[lane] = sum[lane];
      }
    }
  }
}

} // namespace
} // namespace bnnt
