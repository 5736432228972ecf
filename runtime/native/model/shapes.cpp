// The kind, shape and range of every value: the native counterpart of `infer` in converters/graph/infer.py.
#include "operators.hpp"

namespace bnnt {

const char *name_of(Kind kind) {
  switch (kind) {
  case Kind::pixels:
    return "pixels";
  case Kind::bits:
    return "bits";
  case Kind::acc:
    return "acc";
  case Kind::real:
    return "real";
  }
  return "";
}

namespace {

constexpr unsigned only(Kind kind) { return 1u << static_cast<unsigned>(kind); }
constexpr unsigned pixels = only(Kind::pixels), bits = only(Kind::bits), acc = only(Kind::acc), real = only(Kind::real);

unsigned kinds_of(const Node &node) {
  switch (node.op) {
  case Op::pixel_input:
  case Op::pixel_normalize:
    return pixels;
  case Op::to_real:
    return bits | acc;
  case Op::binary:
    return node.thresholded ? bits | acc : bits | acc | real;
  case Op::flatten:
  case Op::max_pool:
    return bits | acc | real;
  case Op::threshold:
    return acc;
  case Op::affine:
    return node.op_name[6] == 0 ? acc : real; // Affine, AffineReal
  case Op::sign:
  case Op::real:
  case Op::relu:
  case Op::hardtanh:
  case Op::add:
  case Op::average:
    return real;
  }
  return 0;
}

bool bounded(const Node &node, int64_t height, int64_t width, int64_t channels, Error &error) {
  return few_elements(height, width, channels) ||
         error.fail(BNNT_UNSUPPORTED, node.name, ": ", height, "x", width, "x", channels,
                    " elements for one image, the limit is ", most_elements, ": give smaller images, or pads");
}

// `channels`: those that the window reads; `products`: those of one output element; value.channels: the outputs.
bool slide(const Node &node, const Window &window, int64_t channels, int64_t products, Value &value, Error &error) {
  int64_t sides[2];
  for (int axis = 0; axis < 2; ++axis)
    sides[axis] = (axis == 0 ? value.height : value.width) + window.pads[axis] + window.pads[axis + 2];
  if (!bounded(node, sides[0], sides[1], channels, error))
    return false;
  for (int axis = 0; axis < 2; ++axis) {
    // every factor is below 2^31, so nothing here can overflow
    const int64_t span = (window.kernel[axis] - 1) * window.dilations[axis] + 1;
    const int64_t room = sides[axis] - span;
    if (room < 0)
      return error.fail(BNNT_UNSUPPORTED, node.name, ": a window of ", span, " does not fit the padded input of ",
                        node.op_name);
    sides[axis] = room / window.strides[axis] + 1;
  }
  value.height = sides[0];
  value.width = sides[1];
  if (!bounded(node, value.height, value.width, value.channels, error))
    return false;
  return products <= most_products / value.elements() ||
         error.fail(BNNT_UNSUPPORTED, node.name, ": ", products, " products for each of ", value.elements(),
                    " elements, the limit of one layer is ", most_products, ": give smaller images, or larger strides");
}

bool pool(const Node &node, Value &value, Error &error) {
  for (int side = 0; side < 4; ++side)
    if (node.pool.pads[side] >= node.pool.kernel[side % 2])
      return error.fail(BNNT_UNSUPPORTED, node.name, ": pooling pads must be smaller than the window");
  if (node.pool.taps() > most_pooled)
    return error.fail(BNNT_UNSUPPORTED, node.name, ": a pooling window of ", node.pool.kernel[0], "x",
                      node.pool.kernel[1], ", the limit is ", most_pooled, " elements");
  return slide(node, node.pool, value.channels, node.pool.taps(), value, error);
}

// low and high of the sum of `taps` products with +1 and -1.
bool accumulate(const Node &node, const Value &x, Value &value, Error &error) {
  if (x.kind == Kind::real) {
    value.kind = Kind::real;
    return true;
  }
  const int64_t reach = x.kind == Kind::bits ? 1 : (x.high > -x.low ? x.high : -x.low);
  const int64_t taps = node.layer.weights_of_one(); // at most 8 times the bytes of the file
  if (taps > acc_limit || taps * reach >= acc_limit)
    return error.fail(BNNT_UNSUPPORTED, node.name, ": ", node.op_name, " can reach ", taps * (reach > 0 ? reach : 1),
                      ", the limit is ", acc_limit - 1, ": split the layer");
  value.kind = Kind::acc;
  value.low = -taps * reach;
  value.high = taps * reach;
  return true;
}

bool layer(Node &node, const Value &x, Value &value, Error &error) {
  Layer &layer = node.layer;
  if (layer.inputs > largest / layer.group || x.channels != layer.inputs * layer.group)
    return error.fail(BNNT_UNSUPPORTED, node.name, ": ", x.channels, " channels arrive where ", node.op_name,
                      " takes ", layer.group, " groups of ", layer.inputs);
  value.channels = layer.channels();
  if (!slide(node, layer.window, x.channels, layer.weights_of_one(), value, error))
    return false;
  layer.height = value.height;
  layer.width = value.width;
  if (node.op == Op::binary && !accumulate(node, x, value, error))
    return false;
  if (node.op == Op::real)
    value.kind = Kind::real;
  return !node.pooled || pool(node, value, error);
}

} // namespace

bool infer(Node &node, const bnnt_session &session, Value &result, Error &error) {
  const Value &x = session.values[node.inputs[0]];
  const int32_t last_use = result.last_use;
  result = x;
  result.name = node.name;
  result.last_use = last_use;
  const unsigned kinds = kinds_of(node);
  if ((kinds & only(x.kind)) == 0)
    return error.fail(BNNT_UNSUPPORTED, node.name, ": ", node.op_name, " does not take the ", name_of(x.kind),
                      " value '", x.name, "'");
  switch (node.op) {
  case Op::pixel_input:
    result.kind = Kind::acc;
    result.low = -node.offset;
    result.high = 255 - node.offset;
    break;
  case Op::pixel_normalize:
  case Op::to_real:
  case Op::affine:
    result.kind = Kind::real;
    break;
  case Op::sign:
  case Op::threshold:
    result.kind = Kind::bits;
    break;
  case Op::binary:
  case Op::real:
    if (!layer(node, x, result, error))
      return false;
    if (node.thresholded)
      result.kind = Kind::bits;
    break;
  case Op::max_pool:
    if (x.rank != 3)
      return error.fail(BNNT_UNSUPPORTED, node.name, ": MaxPool takes a value of rank 3");
    if (!pool(node, result, error))
      return false;
    break;
  case Op::flatten:
  case Op::average:
    if (x.rank != 3)
      return error.fail(BNNT_UNSUPPORTED, node.name, ": ", node.op_name, " takes a value of rank 3");
    result.rank = node.op == Op::flatten ? 1 : 3;
    result.channels = node.op == Op::flatten ? x.elements() : x.channels;
    result.height = result.width = 1;
    break;
  case Op::add: {
    const Value &y = session.values[node.inputs[1]];
    if (y.kind != Kind::real || y.rank != x.rank || y.height != x.height || y.width != x.width ||
        y.channels != x.channels)
      return error.fail(BNNT_UNSUPPORTED, node.name, ": Add takes two real values of one shape");
    break;
  }
  case Op::relu:
  case Op::hardtanh:
    break;
  }
  if (!bounded(node, result.height, result.width, result.channels, error))
    return false;
  result.bytes = static_cast<uint64_t>(result.kind == Kind::bits ? result.pixels() * result.packed()
                                                                 : 4 * result.elements());
  return true;
}

} // namespace bnnt
