#include "../kernels/kernels.hpp"
#include "direct.hpp"
#include "gather.hpp"

namespace bnnt {

namespace {

// A layer on one image, or on the vectors of some, as all of its tasks see it.
struct Run {
  const Node &node;
  const Layer &layer;
  Value x, result; // vectors of several images are the pixels of one row
  const Kernels &kernels;
  const uint8_t *from, *input; // input: with its padding
  uint8_t *to;
  LayerScratch at;
  uint8_t *scratch; // of the worker
  Outputs outputs;
  int64_t width; // of a row of sums

  // `dots`, whose weights, bases and sums are those of a whole group, for the wanted outputs alone; `word`: bytes of a
  // word of one output.
  Dots wanted(Dots dots, size_t word) const {
    const size_t first = static_cast<size_t>(outputs.first), block = static_cast<size_t>(layer.block);
    dots.weights += first * dots.runs * dots.run * word;
    dots.bases += dots.bases == nullptr ? 0 : first;
    dots.out += first;
    const size_t count = static_cast<size_t>(layer.group > 1 ? layer.blocked : outputs.end - outputs.first);
    dots.blocks = (count + block - 1) / block;
    return dots;
  }
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

// Copies the image into its padding: `width` numbers a pixel, each as `convert` says.
template <class From, class Convert>
void pad_input(const Call &call, int64_t width, uint8_t padding, Convert &&convert) {
  const Window &window = call.node.layer.window;
  const From *from = call.in<From>();
  uint8_t *to = call.shared;
  const auto fill = [&](int64_t count) {
    __builtin_memset(to, padding, static_cast<size_t>(count));
    to += count;
  };
  const int64_t row = call.x.width * call.images * width, sides = (window.pads[1] + window.pads[3]) * width;
  fill(window.pads[0] * (row + sides));
  for (int64_t y = 0; y < call.x.height; ++y, from += row) {
    fill(window.pads[1] * width);
    for (int64_t i = 0; i < row; ++i)
      to[i] = convert(from[i]);
    to += row;
    fill(window.pads[3] * width);
  }
  fill(window.pads[2] * (row + sides));
}

// Windows of row `row` read straight from the padded image, `pixel` bytes a pixel, `word` a word of the weights.
Dots straight(const Run &run, const uint8_t *input, size_t pixel, size_t word, int64_t row, int32_t *sums) {
  const Layer &layer = run.layer;
  const Window &window = layer.window;
  const size_t line = static_cast<size_t>(run.x.width + window.pads[1] + window.pads[3]) * pixel;
  const size_t strides[] = {static_cast<size_t>(window.strides[0]), static_cast<size_t>(window.strides[1])};
  const Dots dots = {.first = input + static_cast<size_t>(row) * strides[0] * line,
                     .count = static_cast<size_t>(run.width),
                     .pixel_step = strides[1] * pixel,
                     .run_step = static_cast<size_t>(window.dilations[0]) * line,
                     .runs = static_cast<size_t>(layer.runs),
                     .run = static_cast<size_t>(layer.run),
                     .weights = layer.weights,
                     .blocks = 0,
                     .base = static_cast<int32_t>(layer.weights_of_one()),
                     .shift = 1,
                     .bases = reinterpret_cast<const int32_t *>(layer.base),
                     .out = sums,
                     .stride = static_cast<size_t>(layer.stride)};
  return run.wanted(dots, word);
}

// `count` packed windows of group g, one behind the other, for the wanted outputs.
Dots packed(const Run &run, int64_t g, size_t count, int32_t *sums) {
  const Layer &layer = run.layer;
  const size_t window = static_cast<size_t>(layer.run) * run.kernels.word;
  const Dots dots = {.first = run.scratch + run.at.patches,
                     .count = count,
                     .pixel_step = window,
                     .run_step = 0,
                     .runs = 1,
                     .run = static_cast<size_t>(layer.run),
                     .weights = layer.weights + static_cast<size_t>(g * layer.blocked) * window,
                     .blocks = 0,
                     .base = static_cast<int32_t>(layer.weights_of_one()),
                     .shift = 1,
                     .bases = nullptr,
                     .out = sums + g * layer.outputs,
                     .stride = static_cast<size_t>(layer.stride)};
  return run.wanted(dots, run.kernels.word);
}

void packed_row(const Run &run, int64_t row, int32_t *sums) {
  const Layer &layer = run.layer;
  uint8_t *patches = run.scratch + run.at.patches;
  const size_t window = static_cast<size_t>(layer.run) * run.kernels.word;
  for (int64_t first = 0; first < run.width; first += static_cast<int64_t>(tile)) {
    const size_t left = static_cast<size_t>(run.width - first);
    const size_t count = left < tile ? left : tile;
    for (int64_t g = 0; g < layer.group; ++g) {
      for (size_t p = 0; p < count; ++p)
        gather_bits(layer, run.x, run.from, row, first + static_cast<int64_t>(p), g, patches + p * window, window);
      run.kernels.disagreements(
          packed(run, g, count, sums + static_cast<size_t>(first) * static_cast<size_t>(layer.stride)));
    }
  }
}

void bits_row(const Run &run, int64_t row, int32_t *sums) {
  const Layer &layer = run.layer;
  if (layer.input_bytes > 0)
    run.kernels.disagreements(
        straight(run, run.input, static_cast<size_t>(run.x.packed()), run.kernels.word, row, sums));
  else
    packed_row(run, row, sums);
  for (int64_t column = 0; layer.tap_sums != nullptr && column < run.width; ++column)
    correct_border(run, row, column, sums + static_cast<size_t>(column) * static_cast<size_t>(layer.stride));
}

void bytes_row(const Run &run, int64_t row, int32_t *sums) {
  const Layer &layer = run.layer;
  const Dots dots = straight(run, run.input, static_cast<size_t>(run.x.channels), run.kernels.values, row, sums);
  if (!layer.gathered)
    return run.kernels.products(dots);
  const size_t taps = static_cast<size_t>(layer.window.kernel[0]), window = dots.run * run.kernels.values;
  const size_t length = static_cast<size_t>(layer.window.kernel[1] * layer.inputs);
  uint8_t *patches = run.scratch + run.at.patches;
  for (size_t first = 0; first < dots.count; first += tile) {
    Dots some = dots;
    some.count = dots.count - first < tile ? dots.count - first : tile;
    gather_bytes(dots.first + first * dots.pixel_step, some.count, dots.pixel_step, dots.run_step, taps, length, window,
                 patches);
    some.first = patches;
    some.pixel_step = window;
    some.out += first * dots.stride;
    run.kernels.products(some);
  }
}

void planes_row(const Run &run, int64_t row, int32_t *sums) {
  const Layer &layer = run.layer;
  uint8_t *patches = run.scratch + run.at.patches;
  uint32_t *values = reinterpret_cast<uint32_t *>(run.scratch + run.at.values);
  int32_t *counts = reinterpret_cast<int32_t *>(run.scratch + run.at.counts);
  const size_t window = static_cast<size_t>(layer.run) * run.kernels.word, blocked = static_cast<size_t>(layer.blocked);
  const size_t first = static_cast<size_t>(run.outputs.first);
  const size_t end = static_cast<size_t>(layer.group > 1 ? layer.outputs : run.outputs.end);
  for (int64_t column = 0; column < run.width; ++column) {
    for (int64_t g = 0; g < layer.group; ++g) {
      gather_planes(layer, run.x, reinterpret_cast<const int32_t *>(run.from), row, column, g, values, patches, window);
      Dots job = packed(run, g, static_cast<size_t>(layer.planes), nullptr);
      job.base = job.shift = 0;
      job.out = counts + first;
      job.stride = blocked;
      run.kernels.disagreements(job); // minus the popcounts
      const uint32_t *base = layer.base + static_cast<size_t>(g) * blocked;
      int32_t *out = sums + static_cast<size_t>(column) * static_cast<size_t>(layer.stride) + g * layer.outputs;
      for (size_t o = first; o < end; ++o)
        out[o] = static_cast<int32_t>(base[o]);
      for (int32_t p = 0; p < layer.planes; ++p) {
        const int32_t *plane = counts + static_cast<size_t>(p) * blocked;
        for (size_t o = first; o < end; ++o)
          out[o] = static_cast<int32_t>(static_cast<uint32_t>(out[o]) - (static_cast<uint32_t>(plane[o]) << p));
      }
    }
  }
}

// Row `row` of the sums: [width][stride], int32 or float32.
void sums_row(const Run &run, int64_t row, int32_t *sums) {
  const size_t stride = static_cast<size_t>(run.layer.stride);
  const int64_t end = run.layer.group > 1 ? run.layer.outputs : run.outputs.end;
  switch (run.layer.method) {
  case Method::direct: // goes without sums
    return;
  case Method::bits:
    return bits_row(run, row, sums);
  case Method::planes:
    return planes_row(run, row, sums);
  case Method::bytes:
    return bytes_row(run, row, sums);
  case Method::real:
    return run.kernels.sums({&run.layer, reinterpret_cast<const float *>(run.from), run.x.height, run.x.width, row,
                             run.width, reinterpret_cast<float *>(sums), stride, run.outputs.first, end});
  }
}

// The maximum over a window of rows of sums, whose slot is their number modulo kept_rows; `pooled` ends with the room
// for the maximum over the rows alone.
void pool_row(const Run &run, int64_t width, const int32_t *sums, int64_t first, int64_t end, int32_t *pooled) {
  const Window &pool = run.node.pool;
  const size_t stride = static_cast<size_t>(run.layer.stride), channels = static_cast<size_t>(run.layer.channels());
  const size_t row_size = static_cast<size_t>(run.layer.width) * stride;
  int32_t *line = pooled + static_cast<size_t>(width) * stride;
  for (int64_t y = first; y < end; ++y) {
    const int32_t *row = sums + static_cast<size_t>(y % kept_rows(run.node)) * row_size;
    if (y == first)
      __builtin_memcpy(line, row, row_size * sizeof(int32_t));
    else
      run.kernels.maximum(line, row, row_size);
  }
  for (int64_t column = 0; column < width; ++column, pooled += stride) {
    const int64_t left = column * pool.strides[1] - pool.pads[1], begin = left > 0 ? left : 0;
    const int64_t right = left + pool.kernel[1] < run.layer.width ? left + pool.kernel[1] : run.layer.width;
    __builtin_memcpy(pooled, line + static_cast<size_t>(begin) * stride, channels * sizeof(int32_t));
    for (int64_t at = begin + 1; at < right; ++at)
      run.kernels.maximum(pooled, line + static_cast<size_t>(at) * stride, channels);
  }
}

// One row of sums becomes one row of the node's value.
void finish_row(const Run &run, int64_t row, const int32_t *sums) {
  const size_t stride = static_cast<size_t>(run.layer.stride);
  const size_t pixel = static_cast<size_t>(run.node.thresholded() ? run.result.packed() : 4 * run.result.channels);
  const int64_t first = run.outputs.first, count = run.outputs.end - first;
  uint8_t *to = run.to + static_cast<size_t>(row * run.result.width) * pixel;
  for (int64_t column = 0; column < run.result.width; ++column, sums += stride, to += pixel) {
    if (run.node.thresholded())
      run.kernels.threshold(sums + first, run.node.taus + first, run.node.flips + first / 8, count, to + first / 8);
    else
      __builtin_memcpy(to + 4 * first, sums + first, static_cast<size_t>(4 * count));
  }
}

void plain_rows(const Run &run, int64_t begin, int64_t end) {
  int32_t *sums = reinterpret_cast<int32_t *>(run.scratch + run.at.rows);
  const bool finished = !run.node.thresholded() && run.layer.stride == static_cast<uint64_t>(run.layer.channels());
  for (int64_t row = begin; row < end; ++row) {
    if (finished) { // a row of sums lies as a row of the value does
      sums_row(run, row, reinterpret_cast<int32_t *>(run.to) + row * run.width * run.layer.channels());
      continue;
    }
    sums_row(run, row, sums);
    finish_row(run, row, sums);
  }
}

// Pooling comes before the threshold: a flip turns the comparison round, and of the bits the maximum would then be the
// minimum of the sums.
void pooled_rows(const Run &run, int64_t begin, int64_t end) {
  const Window &pool = run.node.pool;
  const size_t row_size = static_cast<size_t>(run.layer.width) * static_cast<size_t>(run.layer.stride);
  int32_t *sums = reinterpret_cast<int32_t *>(run.scratch + run.at.rows);
  int32_t *pooled = reinterpret_cast<int32_t *>(run.scratch + run.at.pooled);
  int64_t next = 0; // the first row of sums that is not there yet
  for (int64_t row = begin; row < end; ++row) {
    const int64_t top = row * pool.strides[0] - pool.pads[0];
    const int64_t first = top > 0 ? top : 0;
    const int64_t last = top + pool.kernel[0] < run.layer.height ? top + pool.kernel[0] : run.layer.height;
    for (next = next > first ? next : first; next < last; ++next)
      sums_row(run, next, sums + static_cast<size_t>(next % kept_rows(run.node)) * row_size);
    pool_row(run, run.result.width, sums, first, last, pooled);
    finish_row(run, row, pooled);
  }
}

bool copies_input(const Layer &layer) {
  return layer.input_bytes > 0 && (layer.window.padded() || layer.method == Method::bytes);
}

} // namespace

void prepare_layer(const Call &call) {
  const Layer &layer = call.node.layer;
  if (!copies_input(layer))
    return;
  if (layer.method == Method::bits)
    return pad_input<uint8_t>(call, call.x.packed(), 0, [](uint8_t bits) { return bits; }); // +1
  const int32_t low = static_cast<int32_t>(layer.low);
  const uint8_t flip = call.session.kernels->offset;
  const auto byte = [&](int32_t value) { return static_cast<uint8_t>((value - low) ^ flip); };
  pad_input<int32_t>(call, call.x.channels, byte(static_cast<int32_t>(layer.pad_value)), byte);
}

void layer_rows(const Call &call, const Part &part) {
  const Node &node = call.node;
  if (node.layer.method == Method::direct)
    return direct_rows(call, part);
  const Kernels &kernels = *call.session.kernels;
  Value x = call.x, result = call.result;
  x.width *= call.images;
  result.width *= call.images;
  const Run run{node,
                node.layer,
                x,
                result,
                kernels,
                call.from,
                copies_input(node.layer) ? call.shared : call.from,
                call.to,
                layer_scratch(node, call.x, call.result, kernels),
                part.scratch,
                part.outputs,
                node.layer.width * call.images};
  node.pooled ? pooled_rows(run, part.begin, part.end) : plain_rows(run, part.begin, part.end);
}

} // namespace bnnt
