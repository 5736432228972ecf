#include "../kernels/kernels.hpp"
#include "direct.hpp"

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
  case Method::direct:
    return static_cast<uint64_t>(layer.group) * direct_weight_bytes(layer, static_cast<uint64_t>(layer.outputs));
  case Method::bits:
  case Method::planes:
    return outputs * layer.runs * layer.run * kernels.word;
  case Method::bytes:
    return outputs * layer.runs * layer.run * kernels.values;
  case Method::real:
    if (layer.depthwise())
      return round_up(static_cast<uint64_t>(layer.group), layer.block) * static_cast<uint64_t>(layer.taps()) *
             sizeof(float);
    return outputs * static_cast<uint64_t>(layer.weights_of_one()) * sizeof(float);
  }
  return 0;
}

// One output's row of packed signs on its way into the blocks of `Dots`: [word][output of the block].
struct Slot {
  uint8_t *first; // of the row's first word
  uint64_t word, step;

  Slot(const Layer &layer, const Kernels &kernels, uint64_t slot)
      : first(layer.weights +
              (slot / kernels.block * layer.runs * layer.run * kernels.block + slot % kernels.block) * kernels.word),
        word(kernels.word), step(kernels.block * kernels.word) {}

  void copy(const uint8_t *row, uint64_t bytes) const {
    uint64_t at = 0;
    uint8_t *to = first;
    for (; at + word <= bytes; at += word, to += step)
      __builtin_memcpy(to, row + at, static_cast<size_t>(word));
    __builtin_memcpy(to, row + at, static_cast<size_t>(bytes - at));
  }
  void set(uint64_t bit) const {
    first[bit / (8 * word) * step + bit % (8 * word) / 8] |= static_cast<uint8_t>(1u << bit % 8);
  }
};

uint64_t popcount(const uint8_t *bytes, uint64_t count) {
  uint64_t sum = 0, at = 0;
  for (; at + sizeof(uint64_t) <= count; at += sizeof(uint64_t))
    sum += static_cast<uint64_t>(__builtin_popcountll(load<uint64_t>(bytes + at)));
  for (; at < count; ++at)
    sum += static_cast<uint64_t>(__builtin_popcount(bytes[at]));
  return sum;
}

// Rows of packed signs into the blocks of `Dots`. Planes drop the tail bits of each tap: their windows are packed here,
// not by the layer before. Where there are no tail bits rows go as they are.
void fill_packed(Node &node, const Kernels &kernels) {
  Layer &layer = node.layer;
  const uint64_t inputs = static_cast<uint64_t>(layer.inputs), taps = static_cast<uint64_t>(layer.taps());
  const uint64_t tap = (inputs + 7) / 8, tap_bits = layer.method == Method::bits ? 8 * tap : inputs;
  __builtin_memset(layer.weights, 0, static_cast<size_t>(weight_bytes(layer, kernels)));
  for (uint64_t output = 0; output < static_cast<uint64_t>(layer.channels()); ++output) {
    const uint64_t group = output / static_cast<uint64_t>(layer.outputs);
    const uint64_t slot = group * static_cast<uint64_t>(layer.blocked) + output % static_cast<uint64_t>(layer.outputs);
    const Slot to(layer, kernels, slot);
    const uint8_t *row = node.weight->data.data + output * taps * tap;
    if (inputs % 8 == 0)
      to.copy(row, taps * tap);
    uint64_t minus = 0;
    for (uint64_t t = 0; t < taps; ++t, row += tap) {
      uint64_t of_tap = inputs % 8 == 0 ? popcount(row, tap) : 0;
      for (uint64_t i = 0; inputs % 8 != 0 && i < inputs; ++i)
        if ((row[i / 8] >> i % 8 & 1) != 0) {
          to.set(t * tap_bits + i);
          ++of_tap;
        }
      minus += of_tap;
      if (layer.tap_sums != nullptr)
        layer.tap_sums[t * static_cast<uint64_t>(layer.channels()) + output] =
            static_cast<int32_t>(inputs) - 2 * static_cast<int32_t>(of_tap);
    }
    if (layer.base != nullptr) {
      const uint32_t sum = static_cast<uint32_t>(layer.weights_of_one()) - 2 * static_cast<uint32_t>(minus);
      const uint32_t ones = (uint32_t{1} << layer.planes) - 1;
      layer.base[slot] = static_cast<uint32_t>(layer.low) * sum - ones * static_cast<uint32_t>(minus);
    }
  }
}

float weight_of(const Node &node, uint64_t output, int64_t tap, int64_t input) {
  if (node.weights == Weights::bits)
    return sign_bit(node, output, tap, input) ? -1.0f : 1.0f;
  const uint64_t inputs = static_cast<uint64_t>(node.layer.inputs);
  const uint64_t taps = static_cast<uint64_t>(node.layer.taps());
  return node.weight->real(
      static_cast<size_t>((output * inputs + static_cast<uint64_t>(input)) * taps + static_cast<uint64_t>(tap)));
}

// The blocks of products: values of one row of taps, or of all, side by side, `values` of them a word.
void fill_bytes(Node &node, const Kernels &kernels) {
  Layer &layer = node.layer;
  const uint64_t row =
      static_cast<uint64_t>(layer.gathered ? layer.weights_of_one() : layer.window.kernel[1] * layer.inputs);
  const uint64_t values = kernels.values, block = layer.block;
  __builtin_memset(layer.weights, 0, static_cast<size_t>(weight_bytes(layer, kernels)));
  __builtin_memset(layer.base, 0, static_cast<size_t>(layer.blocked) * sizeof *layer.base);
  for (uint64_t o = 0; o < static_cast<uint64_t>(layer.outputs); ++o) {
    int32_t sum = 0;
    for (int64_t tap = 0; tap < layer.taps(); ++tap)
      for (int64_t i = 0; i < layer.inputs; ++i) {
        const uint64_t value = static_cast<uint64_t>(tap * layer.inputs + i), in_row = value % row;
        const uint64_t word = value / row * layer.run + in_row / values;
        const uint64_t at = (o / block * layer.runs * layer.run + word) * block + o % block;
        const bool minus = sign_bit(node, o, tap, i);
        layer.weights[at * values + in_row % values] = minus ? 0xff : 1;
        sum += minus ? -1 : 1;
      }
    layer.base[o] = static_cast<uint32_t>((static_cast<int32_t>(layer.low) + kernels.offset) * sum);
  }
}

void fill_real(Node &node, const Kernels &kernels) {
  Layer &layer = node.layer;
  float *weights = reinterpret_cast<float *>(layer.weights);
  __builtin_memset(weights, 0, static_cast<size_t>(weight_bytes(layer, kernels)));
  for (int64_t g = 0; g < layer.group; ++g)
    for (int64_t o = 0; o < layer.outputs; ++o)
      for (int64_t tap = 0; tap < layer.taps(); ++tap)
        for (int64_t i = 0; i < layer.inputs; ++i)
          weights[sums_weight(layer, g, o, tap, i)] =
              weight_of(node, static_cast<uint64_t>(g * layer.outputs + o), tap, i);
  if (layer.bias == nullptr)
    return;
  __builtin_memset(layer.bias, 0, static_cast<size_t>(layer.group * layer.blocked) * sizeof(float));
  for (int64_t g = 0; g < layer.group; ++g)
    for (int64_t o = 0; o < layer.outputs; ++o)
      layer.bias[g * layer.blocked + o] = node.bias->real(static_cast<size_t>(g * layer.outputs + o));
}

} // namespace

void place_layer(Node &node, const Kernels &kernels, Arena &arena) {
  Layer &layer = node.layer;
  layer.weights = arena.take<uint8_t>(weight_bytes(layer, kernels));
  if (layer.method == Method::direct)
    place_direct(node, arena);
  if (layer.method == Method::bits && layer.pad_value == 0 && layer.window.padded())
    layer.tap_sums = arena.take<int32_t>(static_cast<uint64_t>(layer.taps() * layer.channels()));
  if (layer.method == Method::planes || layer.method == Method::bytes)
    layer.base = arena.take<uint32_t>(static_cast<uint64_t>(layer.group * layer.blocked));
  if (node.bias != nullptr)
    layer.bias = arena.take<float>(static_cast<uint64_t>(layer.group * layer.blocked));
}

void fill_layer(Node &node, const Value &x, const Kernels &kernels) {
  switch (node.layer.method) {
  case Method::direct:
    return fill_direct(node, x);
  case Method::bits:
  case Method::planes:
    return fill_packed(node, kernels);
  case Method::bytes:
    return fill_bytes(node, kernels);
  case Method::real:
    return fill_real(node, kernels);
  }
}

} // namespace bnnt
