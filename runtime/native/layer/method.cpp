#include "../kernels/kernels.hpp"
#include "direct.hpp"
#include "gather.hpp"

namespace bnnt {

namespace {

uint64_t wide(int64_t value) { return static_cast<uint64_t>(value); }

// The image with its padding, if a kernel can read windows straight from it; 0 if windows have to be packed one by one.
uint64_t padded_bytes(const Layer &layer, const Value &x, uint64_t pixel) {
  const Window &window = layer.window;
  const uint64_t rows = wide(x.height + window.pads[0] + window.pads[2]);
  const uint64_t row = wide(x.width + window.pads[1] + window.pads[3]) * pixel;
  const bool small = row <= (uint64_t{1} << 40) / rows && rows * row <= 8 * wide(x.pixels()) * pixel;
  return layer.group == 1 && window.dilations[1] == 1 && small ? rows * row : 0;
}

void choose_real(Node &node, const Kernels &kernels) {
  node.layer.method = Method::real;
  node.layer.pad_counts = node.weights == Weights::bits && node.layer.pad_value == 1;
  node.layer.block = kernels.real_block;
  node.kernel = kernels.real_name;
}

void choose_bits(Node &node, const Value &x, const Kernels &kernels) {
  if (choose_direct(node, x, kernels))
    return;
  Layer &layer = node.layer;
  const uint64_t tap = wide((layer.inputs + 7) / 8);
  layer.method = Method::bits;
  layer.block = kernels.block;
  layer.input_bytes = tap % kernels.word == 0 ? padded_bytes(layer, x, tap) : 0;
  layer.runs = layer.input_bytes > 0 ? wide(layer.window.kernel[0]) : 1;
  layer.run = round_up(wide(layer.taps()) / layer.runs * tap, kernels.word) / kernels.word;
  node.kernel = kernels.bits_name;
}

void choose_integers(Node &node, const Value &x, const Kernels &kernels) {
  Layer &layer = node.layer;
  layer.low = x.low < 0 ? x.low : 0;
  const int64_t high = x.high > layer.pad_value ? x.high : layer.pad_value;
  const uint64_t padded = padded_bytes(layer, x, wide(x.channels)),
                 weights = wide(layer.weights_of_one() * layer.outputs);
  const bool one_pixel = layer.height * layer.width == 1;
  if (high - layer.low <= 0xff && padded > 0 && (!one_pixel || weights <= kernels.most_weights)) {
    layer.method = Method::bytes;
    layer.block = kernels.bytes_block;
    layer.input_bytes = padded;
    const auto words = [&](int64_t count) { return round_up(wide(count), kernels.values) / kernels.values; };
    layer.runs = wide(layer.window.kernel[0]);
    layer.run = words(layer.window.kernel[1] * layer.inputs);
    const uint64_t together = words(layer.weights_of_one());
    layer.gathered = worth_gathering(together, layer.runs * layer.run);
    if (layer.gathered) {
      layer.runs = 1;
      layer.run = together;
    }
    node.kernel = kernels.bytes_name;
    return;
  }
  layer.method = Method::planes;
  layer.block = kernels.block;
  while ((high - layer.low) >> layer.planes != 0)
    ++layer.planes;
  layer.run = round_up(wide(layer.weights_of_one()), 8 * kernels.word) / (8 * kernels.word);
  node.kernel = kernels.planes_name;
}

} // namespace

void choose_method(Node &node, const Value &x, const Kernels &kernels) {
  Layer &layer = node.layer;
  layer.apart = most_block;
  if (x.kind == Kind::real)
    choose_real(node, kernels);
  else if (x.kind == Kind::bits)
    choose_bits(node, x, kernels);
  else
    choose_integers(node, x, kernels);
  layer.blocked = static_cast<int64_t>(round_up(wide(layer.outputs), layer.block));
  if (layer.method == Method::real && layer.depthwise())
    layer.blocked = 1; // blocks are of groups
  // a block may reach beyond its group: into the next one, which is written later, or behind the last one
  layer.stride = round_up(wide((layer.group - 1) * layer.outputs + layer.blocked), 16);
}

LayerScratch layer_scratch(const Node &node, const Value &x, const Value &result, const Kernels &kernels) {
  const Layer &layer = node.layer;
  LayerScratch scratch;
  const auto part = [&](uint64_t bytes) {
    const uint64_t start = scratch.worker;
    scratch.worker += round_up(bytes, Arena::alignment);
    return start;
  };
  if (layer.method == Method::direct) {
    scratch.worker = direct_scratch(node, x);
    return scratch;
  }
  scratch.shared = layer.input_bytes + gather_step; // the last step may reach behind it
  const uint64_t window = layer.runs * layer.run * kernels.word;
  if (layer.method == Method::bits && layer.input_bytes == 0)
    scratch.patches = part(tile * window);
  if (layer.gathered)
    scratch.patches = part(tile * layer.run * kernels.values + gather_step);
  if (layer.method == Method::planes) {
    scratch.patches = part(wide(layer.planes) * window);
    scratch.values = part(round_up(wide(layer.weights_of_one()), 8) * sizeof(uint32_t));
    scratch.counts = part(wide(layer.planes * layer.blocked) * sizeof(int32_t));
  }
  scratch.rows = part(wide(kept_rows(node) * layer.width * layer.images) * layer.stride * sizeof(int32_t));
  if (node.pooled)
    scratch.pooled = part((wide(layer.width) + wide(result.width)) * layer.stride * sizeof(int32_t));
  return scratch;
}

} // namespace bnnt
