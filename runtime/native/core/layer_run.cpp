#include "../kernels/kernels.hpp"
#include "gather.hpp"
#include "layer.hpp"

namespace bnnt {

namespace {

struct Run {
  const Node &node;
  const Layer &layer;
  const Value &x;
  const Kernels &kernels;
  const uint8_t *from;
  uint8_t *scratch;
  LayerScratch at;
};

// Taps outside the image counted as +1; where the padding is 0 they must not count at all.
void correct_border(const Run &run, int64_t row, int64_t column, int32_t *sums) {
  const Window &window = run.layer.window;
  const int32_t *tap_sums = run.layer.tap_sums;
  const int64_t channels = run.layer.channels();
  for (int64_t ky = 0; ky < window.kernel[0]; ++ky) {
    const int64_t y = row * window.strides[0] - window.pads[0] + ky * window.dilations[0];
    for (int64_t kx = 0; kx < window.kernel[1]; ++kx, tap_sums += channels) {
      const int64_t at = column * window.strides[1] - window.pads[1] + kx * window.dilations[1];
      if (y >= 0 && y < run.x.height && at >= 0 && at < run.x.width)
        continue;
      for (int64_t c = 0; c < channels; ++c)
        sums[c] -= tap_sums[c];
    }
  }
}

void bits_row(const Run &run, int64_t row, int32_t *sums) {
  const Layer &layer = run.layer;
  uint8_t *patches = run.scratch + run.at.patches;
  const size_t patch = static_cast<size_t>(layer.words) * run.kernels.word;
  const size_t stride = static_cast<size_t>(layer.stride);
  const size_t blocks = static_cast<size_t>(layer.blocked) / run.kernels.block;
  for (int64_t first = 0; first < layer.width; first += static_cast<int64_t>(tile)) {
    const size_t left = static_cast<size_t>(layer.width - first);
    const size_t count = left < tile ? left : tile;
    int32_t *out = sums + static_cast<size_t>(first) * stride;
    for (int64_t g = 0; g < layer.group; ++g) {
      for (size_t p = 0; p < count; ++p)
        gather_bits(layer, run.x, run.from, row, first + static_cast<int64_t>(p), g, patches + p * patch, patch);
      const uint8_t *weights = layer.weights + static_cast<size_t>(g) * blocks * run.kernels.block * patch;
      run.kernels.disagreements({patches, count, weights, static_cast<size_t>(layer.words), blocks,
                                 static_cast<int32_t>(layer.weights_of_one()), 1, out + g * layer.outputs, stride});
    }
    for (size_t p = 0; layer.tap_sums != nullptr && p < count; ++p)
      correct_border(run, row, first + static_cast<int64_t>(p), out + p * stride);
  }
}

void planes_row(const Run &run, int64_t row, int32_t *sums) {
  const Layer &layer = run.layer;
  uint8_t *patches = run.scratch + run.at.patches;
  uint32_t *values = reinterpret_cast<uint32_t *>(run.scratch + run.at.values);
  int32_t *counts = reinterpret_cast<int32_t *>(run.scratch + run.at.counts);
  const size_t patch = static_cast<size_t>(layer.words) * run.kernels.word;
  const size_t blocked = static_cast<size_t>(layer.blocked), blocks = blocked / run.kernels.block;
  for (int64_t column = 0; column < layer.width; ++column) {
    for (int64_t g = 0; g < layer.group; ++g) {
      gather_planes(layer, run.x, reinterpret_cast<const int32_t *>(run.from), row, column, g, values, patches, patch);
      const uint8_t *weights = layer.weights + static_cast<size_t>(g) * blocked * patch;
      run.kernels.disagreements({patches, static_cast<size_t>(layer.planes), weights, static_cast<size_t>(layer.words),
                                 blocks, 0, 0, counts, blocked});
      const uint32_t *base = layer.base + static_cast<size_t>(g) * blocked;
      int32_t *out = sums + static_cast<size_t>(column) * static_cast<size_t>(layer.stride) + g * layer.outputs;
      for (size_t o = 0; o < blocked; ++o)
        out[o] = static_cast<int32_t>(base[o]);
      for (int32_t p = 0; p < layer.planes; ++p) {
        const int32_t *plane = counts + static_cast<size_t>(p) * blocked;
        for (size_t o = 0; o < blocked; ++o)
          out[o] = static_cast<int32_t>(static_cast<uint32_t>(out[o]) - (static_cast<uint32_t>(plane[o]) << p));
      }
    }
  }
}

// Row `row` of the sums: [width][stride], int32 or float32.
void sums_row(const Run &run, int64_t row, void *sums) {
  const Sums job{&run.layer, run.from, run.x.height, run.x.width, row, sums, static_cast<size_t>(run.layer.stride)};
  switch (run.layer.method) {
  case Method::bits:
    return bits_row(run, row, static_cast<int32_t *>(sums));
  case Method::planes:
    return planes_row(run, row, static_cast<int32_t *>(sums));
  case Method::narrow:
    return run.kernels.narrow(job);
  case Method::real:
    return run.kernels.real(job);
  }
}

// The maximum of `rows` rows of sums, whose slot is their number modulo kept_rows.
void pool_row(const Run &run, int64_t width, const int32_t *sums, int64_t first, int64_t end, int32_t *pooled) {
  const Window &pool = run.node.pool;
  const size_t stride = static_cast<size_t>(run.layer.stride);
  const size_t row_size = static_cast<size_t>(run.layer.width) * stride;
  const size_t channels = static_cast<size_t>(run.layer.channels());
  for (int64_t column = 0; column < width; ++column, pooled += stride) {
    const int64_t left = column * pool.strides[1] - pool.pads[1];
    bool started = false;
    const int64_t begin = left > 0 ? left : 0;
    const int64_t right = left + pool.kernel[1] < run.layer.width ? left + pool.kernel[1] : run.layer.width;
    for (int64_t y = first; y < end; ++y) {
      const int32_t *line = sums + static_cast<size_t>(y % kept_rows(run.node)) * row_size;
      for (int64_t at = begin; at < right; ++at) {
        const int32_t *sum = line + static_cast<size_t>(at) * stride;
        for (size_t c = 0; c < channels; ++c)
          pooled[c] = started && pooled[c] > sum[c] ? pooled[c] : sum[c];
        started = true;
      }
    }
  }
}

// One row of sums becomes one row of the node's value.
void finish_row(const Run &run, const Value &result, int64_t row, const uint8_t *sums, uint8_t *to) {
  const size_t stride = static_cast<size_t>(run.layer.stride) * 4;
  const size_t pixel = static_cast<size_t>(run.node.thresholded ? result.packed() : 4 * result.channels);
  to += static_cast<size_t>(row * result.width) * pixel;
  for (int64_t column = 0; column < result.width; ++column, sums += stride, to += pixel) {
    if (run.node.thresholded)
      run.kernels.threshold(reinterpret_cast<const int32_t *>(sums), run.node.taus, run.node.flips, result.channels, to);
    else
      __builtin_memcpy(to, sums, pixel);
  }
}

} // namespace

void run_layer(const Node &node, const Value &x, const Value &result, const Kernels &kernels, const uint8_t *from,
               uint8_t *to, uint8_t *scratch) {
  const Run run{node, node.layer, x, kernels, from, scratch, layer_scratch(node, result, kernels)};
  uint8_t *sums = scratch + run.at.rows;
  if (!node.pooled) {
    for (int64_t row = 0; row < result.height; ++row) {
      sums_row(run, row, sums);
      finish_row(run, result, row, sums, to);
    }
    return;
  }
  const Window &pool = node.pool;
  const size_t row_bytes = static_cast<size_t>(node.layer.width) * static_cast<size_t>(node.layer.stride) * 4;
  int64_t next = 0; // the first row of sums that is not there yet
  for (int64_t row = 0; row < result.height; ++row) {
    const int64_t top = row * pool.strides[0] - pool.pads[0];
    const int64_t first = top > 0 ? top : 0;
    const int64_t end = top + pool.kernel[0] < node.layer.height ? top + pool.kernel[0] : node.layer.height;
    for (next = next > first ? next : first; next < end; ++next)
      sums_row(run, next, sums + static_cast<size_t>(next % kept_rows(node)) * row_bytes);
    uint8_t *pooled = scratch + run.at.pooled;
    pool_row(run, result.width, reinterpret_cast<const int32_t *>(sums), first, end, reinterpret_cast<int32_t *>(pooled));
    finish_row(run, result, row, pooled, to);
  }
}

} // namespace bnnt
