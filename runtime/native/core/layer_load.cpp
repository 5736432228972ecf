#include "../kernels/kernels.hpp"
#include "layer.hpp"

namespace bnnt {

namespace {

bool sign_bit(const Node &node, uint64_t output, int64_t tap, int64_t input) {
  const uint64_t row = static_cast<uint64_t>((node.layer.inputs + 7) / 8);
  const uint64_t at = (output * static_cast<uint64_t>(node.layer.taps()) + static_cast<uint64_t>(tap)) * row;
  return (node.weight->data.data[at + static_cast<uint64_t>(input) / 8] >> (input % 8) & 1) != 0;
}

uint64_t weight_bytes(const Layer &layer, const Kernels &kernels) {
  const uint64_t outputs = static_cast<uint64_t>(layer.group * layer.blocked);
  switch (layer.method) {
  case Method::bits:
  case Method::planes:
    return outputs * layer.words * kernels.word;
  case Method::narrow:
    return outputs * static_cast<uint64_t>(layer.weights_of_one()) * sizeof(int16_t);
  case Method::real:
    return outputs * static_cast<uint64_t>(layer.weights_of_one()) * sizeof(float);
  }
  return 0;
}

// Rows of packed signs into the blocks of `Disagreements`. Planes drop the tail bits of each tap: their windows are
// packed here, not by the layer before.
void fill_packed(Node &node, const Kernels &kernels) {
  Layer &layer = node.layer;
  const uint64_t tap_bits = static_cast<uint64_t>(layer.method == Method::bits ? round_up(layer.inputs, 8) : layer.inputs);
  const uint64_t word_bits = 8 * kernels.word;
  __builtin_memset(layer.weights, 0, weight_bytes(layer, kernels));
  for (int64_t g = 0; g < layer.group; ++g) {
    for (int64_t o = 0; o < layer.outputs; ++o) {
      const uint64_t slot = static_cast<uint64_t>(g * layer.blocked + o);
      const uint64_t blocks = slot / kernels.block * layer.words;
      uint32_t minus = 0;
      for (int64_t tap = 0; tap < layer.taps(); ++tap) {
        int32_t sum = 0;
        for (int64_t i = 0; i < layer.inputs; ++i) {
          const bool negative = sign_bit(node, static_cast<uint64_t>(g * layer.outputs + o), tap, i);
          const uint64_t bit = static_cast<uint64_t>(tap) * tap_bits + static_cast<uint64_t>(i);
          const uint64_t word = (blocks + bit / word_bits) * kernels.block + slot % kernels.block;
          layer.weights[word * kernels.word + bit % word_bits / 8] |= static_cast<uint8_t>(negative << bit % 8);
          minus += negative;
          sum += negative ? -1 : 1;
        }
        if (layer.tap_sums != nullptr)
          layer.tap_sums[tap * layer.channels() + g * layer.outputs + o] = sum;
      }
      if (layer.base != nullptr) {
        const uint32_t sum = static_cast<uint32_t>(layer.weights_of_one()) - 2 * minus;
        const uint32_t ones = (uint32_t{1} << layer.planes) - 1;
        layer.base[slot] = static_cast<uint32_t>(layer.low) * sum - ones * minus;
      }
    }
  }
}

float weight_of(const Node &node, uint64_t output, int64_t tap, int64_t input) {
  if (node.packed_weight)
    return sign_bit(node, output, tap, input) ? -1.0f : 1.0f;
  const uint64_t inputs = static_cast<uint64_t>(node.layer.inputs);
  const uint64_t taps = static_cast<uint64_t>(node.layer.taps());
  return node.weight->real((output * inputs + static_cast<uint64_t>(input)) * taps + static_cast<uint64_t>(tap));
}

// The blocks of `Sums`.
template <class A> void fill_sums(Node &node, int64_t lanes) {
  Layer &layer = node.layer;
  A *to = reinterpret_cast<A *>(layer.weights);
  for (int64_t g = 0; g < layer.group; ++g)
    for (int64_t block = 0; block < layer.blocked / lanes; ++block)
      for (int64_t tap = 0; tap < layer.taps(); ++tap)
        for (int64_t i = 0; i < layer.inputs; ++i)
          for (int64_t lane = 0; lane < lanes; ++lane) {
            const int64_t o = block * lanes + lane;
            *to++ = o < layer.outputs ? A(weight_of(node, static_cast<uint64_t>(g * layer.outputs + o), tap, i)) : A(0);
          }
  if (layer.bias == nullptr)
    return;
  float *bias = reinterpret_cast<float *>(layer.bias);
  for (int64_t g = 0; g < layer.group; ++g)
    for (int64_t o = 0; o < layer.blocked; ++o)
      *bias++ = o < layer.outputs ? node.bias->real(static_cast<size_t>(g * layer.outputs + o)) : 0.0f;
}

} // namespace

void choose_method(Node &node, const Value &x, const Kernels &kernels) {
  Layer &layer = node.layer;
  int64_t lanes = static_cast<int64_t>(kernels.block);
  if (x.kind == Kind::real) {
    layer.method = Method::real;
    layer.pad_counts = node.packed_weight && layer.pad_value == 1;
    node.kernel = kernels.real_name;
    lanes = static_cast<int64_t>(kernels.real_lanes);
  } else if (x.kind == Kind::bits) {
    layer.method = Method::bits;
    layer.words = round_up(static_cast<uint64_t>(layer.taps() * ((layer.inputs + 7) / 8)), kernels.word) / kernels.word;
    node.kernel = kernels.bits_name;
  } else {
    layer.low = x.low < 0 ? x.low : 0;
    const int64_t high = x.high > layer.pad_value ? x.high : layer.pad_value;
    const int64_t reach = high > -layer.low ? high : -layer.low;
    if (layer.weights_of_one() * reach <= 0x7fff) {
      layer.method = Method::narrow;
      layer.pad_counts = layer.pad_value == 1;
      node.kernel = kernels.narrow_name;
      lanes = static_cast<int64_t>(kernels.narrow_lanes);
    } else {
      layer.method = Method::planes;
      while ((high - layer.low) >> layer.planes != 0)
        ++layer.planes;
      layer.words = round_up(static_cast<uint64_t>(layer.weights_of_one()), 8 * kernels.word) / (8 * kernels.word);
      node.kernel = kernels.planes_name;
    }
  }
  layer.blocked = static_cast<int64_t>(round_up(static_cast<uint64_t>(layer.outputs), static_cast<uint64_t>(lanes)));
  // a block may reach beyond its group: into the next one, which is written later, or behind the last one
  const int64_t stride = (layer.group - 1) * layer.outputs + layer.blocked;
  layer.stride = round_up(static_cast<uint64_t>(stride), 16);
}

LayerScratch layer_scratch(const Node &node, const Value &result, const Kernels &kernels) {
  const Layer &layer = node.layer;
  LayerScratch scratch;
  const auto part = [&](uint64_t bytes) {
    const uint64_t start = scratch.bytes;
    scratch.bytes += round_up(bytes, Arena::alignment);
    return start;
  };
  if (layer.method == Method::bits)
    scratch.patches = part(tile * layer.words * kernels.word);
  if (layer.method == Method::planes) {
    const uint64_t planes = static_cast<uint64_t>(layer.planes);
    scratch.patches = part(planes * layer.words * kernels.word);
    scratch.values = part(round_up(static_cast<uint64_t>(layer.weights_of_one()), 8) * sizeof(uint32_t));
    scratch.counts = part(planes * static_cast<uint64_t>(layer.blocked) * sizeof(int32_t));
  }
  scratch.rows = part(static_cast<uint64_t>(kept_rows(node)) * static_cast<uint64_t>(layer.width) * layer.stride * sizeof(int32_t));
  if (node.pooled)
    scratch.pooled = part(static_cast<uint64_t>(result.width) * layer.stride * sizeof(int32_t));
  return scratch;
}

void place_layer(Node &node, const Kernels &kernels, Arena &arena) {
  Layer &layer = node.layer;
  layer.weights = arena.take<uint8_t>(weight_bytes(layer, kernels));
  if (layer.method == Method::bits && layer.pad_value == 0 && layer.window.padded())
    layer.tap_sums = arena.take<int32_t>(static_cast<uint64_t>(layer.taps() * layer.channels()));
  if (layer.method == Method::planes)
    layer.base = arena.take<uint32_t>(static_cast<uint64_t>(layer.group * layer.blocked));
  if (node.bias != nullptr)
    layer.bias = arena.take<uint8_t>(static_cast<uint64_t>(layer.group * layer.blocked) * sizeof(float));
}

void fill_layer(Node &node, const Kernels &kernels) {
  switch (node.layer.method) {
  case Method::bits:
  case Method::planes:
    return fill_packed(node, kernels);
  case Method::narrow:
    return fill_sums<int16_t>(node, static_cast<int64_t>(kernels.narrow_lanes));
  case Method::real:
    return fill_sums<float>(node, static_cast<int64_t>(kernels.real_lanes));
  }
}

} // namespace bnnt
