// The row that `Kernels::sums` computes. Written once and compiled into every kernel set with that set's vectors, hence
// the unnamed namespace: functions of one name would be merged by the linker.
//
// Sums stay in registers: `pixels` neighbours by `vectors` vectors of outputs at a time, or, where there is one pixel,
// several blocks, because a sum waits for the one before. Each output's products are still added one by one, in the
// order tap, input, so a tile changes no bit.
#pragma once

#include "kernels.hpp"
#include "unroll.hpp"
#include "vectors.hpp"

namespace bnnt {
namespace {

// `bytes` of a vector, `vectors` of one block, `pixels` of a tile, `blocks` of a lone pixel.
template <int bytes, int vectors, int pixels, int blocks> struct SumRow {
  using Vector = typename Vectors<bytes>::Reals;
  static constexpr int width = bytes / static_cast<int>(sizeof(float)), lanes = width * vectors;

  const Sums &job;
  const Layer &layer;
  const Window &window;
  const int64_t channels, block_size; // block_size: floats of the weights of a block

  explicit SumRow(const Sums &of)
      : job(of), layer(*of.layer), window(layer.window), channels(layer.inputs * layer.group),
        block_size(layer.weights_of_one() * lanes) {}

  static Vector read(const float *from) { return load<Vector>(from); }

  // Adds `count` inputs of `tile` pixels, `step` floats apart, to `together` blocks; `ones`: inputs that are all 1.
  template <bool ones, int tile, int together> BNNT_INLINE void
  add(const float *x, int64_t step, const float *weight, int64_t count, Vector (&sum)[tile][together * vectors]) const {
    const float *pixel[tile];
    for (int p = 0; !ones && p < tile; ++p)
      pixel[p] = x + p * step;
    for (int64_t i = 0; i < count; ++i, weight += lanes) {
      Vector w[together * vectors];
      BNNT_UNROLL
      for (int v = 0; v < together * vectors; ++v)
        w[v] = read(weight + v / vectors * block_size + v % vectors * width);
      BNNT_UNROLL
      for (int p = 0; p < tile; ++p) { // outside, so that a pixel is read once and a tile fits the registers
        BNNT_UNROLL
        for (int v = 0; v < together * vectors; ++v)
          if constexpr (ones)
            sum[p][v] = sum[p][v] + w[v];
          else
            sum[p][v] = sum[p][v] + pixel[p][i] * w[v];
      }
    }
  }

  // Columns [column, column + tile) of `together` blocks of group g. Of several columns no window reaches beyond a side
  // of the image; `inside`: neither does that of a single one.
  template <int tile, int together> void sum(int64_t g, int64_t block, int64_t column, bool inside) const {
    const int64_t first = g * layer.blocked + block * lanes;
    Vector sum[tile][together * vectors];
    BNNT_UNROLL
    for (int p = 0; p < tile; ++p) {
      BNNT_UNROLL
      for (int v = 0; v < together * vectors; ++v)
        sum[p][v] = layer.bias == nullptr ? Vector{} : read(layer.bias + first + v * width);
    }
    const float *weight = reinterpret_cast<const float *>(layer.weights) + first * layer.weights_of_one();
    const int64_t left = column * window.strides[1] - window.pads[1], step = window.strides[1] * channels;
    const bool side_by_side = layer.group == 1 && window.dilations[1] == 1; // the taps of a row
    for (int64_t ky = 0; ky < window.kernel[0]; ++ky) {
      const int64_t y = job.row * window.strides[0] - window.pads[0] + ky * window.dilations[0];
      const bool row_inside = y >= 0 && y < job.height;
      const float *row = row_inside ? job.x + y * job.width * channels + g * layer.inputs : nullptr;
      if (inside && row_inside && side_by_side) {
        add<false, tile, together>(row + left * channels, step, weight, window.kernel[1] * layer.inputs, sum);
        weight += window.kernel[1] * layer.inputs * lanes;
        continue;
      }
      for (int64_t kx = 0; kx < window.kernel[1]; ++kx, weight += layer.inputs * lanes) {
        const int64_t at = left + kx * window.dilations[1];
        if (row_inside && at >= 0 && at < job.width)
          add<false, tile, together>(row + at * channels, step, weight, layer.inputs, sum);
        else if (layer.pad_counts)
          add<true, tile, together>(nullptr, 0, weight, layer.inputs, sum);
      }
    }
    for (int p = 0; p < tile; ++p)
      __builtin_memcpy(job.out + static_cast<size_t>(column + p) * job.stride + g * layer.outputs + block * lanes,
                       sum[p], sizeof sum[p]);
  }

  // One input and one output a group: the lanes are groups.
  void depthwise() const {
    const float *weights = reinterpret_cast<const float *>(layer.weights);
    for (int64_t column = 0; column < job.columns; ++column) {
      float *out = job.out + static_cast<size_t>(column) * job.stride;
      int64_t g = 0;
      for (; g + lanes <= layer.group; g += lanes)
        depthwise<Vector, vectors>(weights + g * layer.taps(), lanes, column, g, out);
      const float *rest = weights + g * layer.taps();
      for (int64_t lane = 0; g < layer.group; ++g, ++lane)
        depthwise<float, 1>(rest + lane, lanes, column, g, out);
    }
  }

  template <class T, int count>
  void depthwise(const float *weight, int64_t next_tap, int64_t column, int64_t g, float *out) const {
    constexpr int64_t wide = sizeof(T) / sizeof(float);
    T sum[count];
    for (int v = 0; v < count; ++v)
      sum[v] = layer.bias == nullptr ? T{} : load<T>(layer.bias + g + v * wide);
    for (int64_t ky = 0; ky < window.kernel[0]; ++ky) {
      const int64_t y = job.row * window.strides[0] - window.pads[0] + ky * window.dilations[0];
      for (int64_t kx = 0; kx < window.kernel[1]; ++kx, weight += next_tap) {
        const int64_t at = column * window.strides[1] - window.pads[1] + kx * window.dilations[1];
        const bool inside = y >= 0 && y < job.height && at >= 0 && at < job.width;
        const float *x = inside ? job.x + (y * job.width + at) * channels + g : nullptr;
        for (int v = 0; v < count && (inside || layer.pad_counts); ++v) {
          const T w = load<T>(weight + v * wide);
          sum[v] = sum[v] + (inside ? load<T>(x + v * wide) * w : w);
        }
      }
    }
    __builtin_memcpy(out + g, sum, sizeof sum);
  }

  void run() const {
    if (layer.depthwise())
      return depthwise();
    const int64_t end = (job.end + lanes - 1) / lanes, reach = (window.kernel[1] - 1) * window.dilations[1];
    const auto inside = [&](int64_t column) {
      const int64_t left = column * window.strides[1] - window.pads[1];
      return left >= 0 && left + reach < job.width;
    };
    for (int64_t column = 0; column < job.columns;) {
      const bool tiled = column + pixels <= job.columns && inside(column) && inside(column + pixels - 1);
      for (int64_t g = 0; g < layer.group; ++g) {
        int64_t block = job.first / lanes;
        for (; tiled && block < end; ++block)
          sum<pixels, 1>(g, block, column, true);
        for (; block + blocks <= end; block += blocks)
          sum<1, blocks>(g, block, column, inside(column));
        for (; block < end; ++block)
          sum<1, 1>(g, block, column, inside(column));
      }
      column += tiled ? pixels : 1;
    }
  }
};

} // namespace
} // namespace bnnt
