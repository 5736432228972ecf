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
                        node.op->name);
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

bool rank_3(const Node &node, const Value &x, Error &error) {
  return x.rank == 3 || error.fail(BNNT_UNSUPPORTED, node.name, ": ", node.op->name, " takes a value of rank 3");
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
    return error.fail(BNNT_UNSUPPORTED, node.name, ": ", node.op->name, " can reach ", taps * (reach > 0 ? reach : 1),
                      ", the limit is ", acc_limit - 1, ": split the layer");
  value.kind = Kind::acc;
  value.low = -taps * reach;
  value.high = taps * reach;
  return true;
}

} // namespace

bool same(Node &, const bnnt_session &, const Value &, Value &, Error &) { return true; }

bool as_acc(Node &node, const bnnt_session &, const Value &, Value &result, Error &) {
  result.kind = Kind::acc;
  result.low = -node.offset;
  result.high = 255 - node.offset;
  return true;
}

bool as_bits(Node &, const bnnt_session &, const Value &, Value &result, Error &) {
  result.kind = Kind::bits;
  return true;
}

bool as_real(Node &, const bnnt_session &, const Value &, Value &result, Error &) {
  result.kind = Kind::real;
  return true;
}

bool as_layer(Node &node, const bnnt_session &, const Value &x, Value &result, Error &error) {
  Layer &layer = node.layer;
  if (layer.inputs > largest / layer.group || x.channels != layer.inputs * layer.group)
    return error.fail(BNNT_UNSUPPORTED, node.name, ": ", x.channels, " channels arrive where ", node.op->name,
                      " takes ", layer.group, " groups of ", layer.inputs);
  result.channels = layer.channels();
  if (!slide(node, layer.window, x.channels, layer.weights_of_one(), result, error))
    return false;
  layer.height = result.height;
  layer.width = result.width;
  if (node.weights == Weights::bits && !accumulate(node, x, result, error))
    return false;
  if (node.weights == Weights::reals)
    result.kind = Kind::real;
  if (node.pooled && !pool(node, result, error))
    return false;
  if (node.thresholded())
    result.kind = Kind::bits;
  return true;
}

bool as_pooled(Node &node, const bnnt_session &, const Value &x, Value &result, Error &error) {
  return rank_3(node, x, error) && pool(node, result, error);
}

bool as_flat(Node &node, const bnnt_session &, const Value &x, Value &result, Error &error) {
  result.rank = 1;
  result.channels = x.elements();
  result.height = result.width = 1;
  return rank_3(node, x, error);
}

bool as_mean(Node &node, const bnnt_session &, const Value &x, Value &result, Error &error) {
  result.height = result.width = 1;
  return rank_3(node, x, error);
}

bool as_sum(Node &node, const bnnt_session &session, const Value &x, Value &, Error &error) {
  const Value &y = session.values[node.inputs[1]];
  if (y.kind == Kind::real && y.rank == x.rank && y.height == x.height && y.width == x.width &&
      y.channels == x.channels)
    return true;
  return error.fail(BNNT_UNSUPPORTED, node.name, ": Add takes two real values of one shape");
}

bool infer(Node &node, const bnnt_session &session, Value &result, Error &error) {
  const Value &x = session.values[node.inputs[0]];
  const int32_t last_use = result.last_use;
  result = x;
  result.name = node.name;
  result.last_use = last_use;
  if ((node.op->kinds & only(x.kind)) == 0)
    return error.fail(BNNT_UNSUPPORTED, node.name, ": ", node.op->name, " does not take the ", name_of(x.kind),
                      " value '", x.name, "'");
  if (!node.op->infer(node, session, x, result, error) ||
      !bounded(node, result.height, result.width, result.channels, error))
    return false;
  result.bytes =
      static_cast<uint64_t>(result.kind == Kind::bits ? result.pixels() * result.packed() : 4 * result.elements());
  return true;
}

} // namespace bnnt
