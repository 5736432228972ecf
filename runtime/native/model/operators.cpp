#include "operators.hpp"

#include "../elementwise/elementwise.hpp"
#include "../layer/layer.hpp"

namespace bnnt {

// Takes a node's inputs and attributes one after the other; what is left over at the end is an error.
struct Parts {
  const FileNode &from;
  bnnt_session &session;
  Error &error;
  int32_t input = 0, attributes = 0;

  bool fail(const char *what) { return error.fail(BNNT_FORMAT, from.name, ": ", from.type, " ", what); }

  bool tensor(const char *key, int32_t type, int32_t rank, const Tensor *&found) {
    if (input == from.input_count)
      return error.fail(BNNT_FORMAT, from.name, ": ", from.type, " lacks its ", key);
    const Bytes name = from.inputs[input++];
    const Bytes tail = text(key);
    const bool mine = name.size == from.name.size + 1 + tail.size && Bytes{name.data, from.name.size} == from.name &&
                      name.data[from.name.size] == '/' && Bytes{name.data + from.name.size + 1, tail.size} == tail;
    if (!mine)
      return error.fail(BNNT_FORMAT, from.name, ": its ", key, " is called '", name, "'");
    // a file that bnnt wrote has them in the order of use
    for (int32_t i = 0; i < session.tensor_count; ++i) {
      const int32_t at = (session.next_tensor + i) % session.tensor_count;
      Tensor &tensor = session.tensors[at];
      if (!(tensor.name == name))
        continue;
      if (tensor.used)
        return error.fail(BNNT_FORMAT, "the tensor '", name, "' is used twice");
      if (tensor.type != type || (rank >= 0 && tensor.rank != rank))
        return error.fail(BNNT_FORMAT, "the tensor '", name, "' has rank ", tensor.rank, " and type ", tensor.type);
      tensor.used = true;
      found = &tensor;
      session.next_tensor = at + 1;
      return true;
    }
    return error.fail(BNNT_FORMAT, "the tensor '", name, "' is missing");
  }

  // A layer reads a value of this rank, and no pixels.
  bool reads(const Node &node, int32_t rank) {
    const Value &x = session.values[node.inputs[0]];
    return (x.rank == rank && x.kind != Kind::pixels) ||
           error.fail(BNNT_UNSUPPORTED, node.name, ": ", node.op->name, " does not take the value '", x.name,
                      "' of rank ", x.rank);
  }

  bool integer(const char *key, int64_t low, int64_t high, int64_t &value) {
    ++attributes;
    return read_integer(from, key, low, high, value, error);
  }

  bool integers(const char *key, int32_t count, int64_t low, int64_t *values) {
    ++attributes;
    return read_integers(from, key, count, low, values, error);
  }

  // Packed signs, the last dimension of `count` bits.
  bool packed(const Tensor &weight, int64_t count) {
    const int64_t row = weight.dims[weight.rank - 1];
    if (row != (count + 7) / 8)
      return error.fail(BNNT_FORMAT, from.name, ": ", row, " bytes of weights for ", count, " input channels");
    for (size_t end = static_cast<size_t>(row); count % 8 != 0 && end <= weight.data.size;
         end += static_cast<size_t>(row))
      if (weight.data.data[end - 1] >> (count % 8) != 0)
        return error.fail(BNNT_FORMAT, from.name, ": the tail bits of its weights are not 0");
    return true;
  }

  bool binary_conv(Node &node) {
    Layer &layer = node.layer;
    node.weights = Weights::bits;
    if (!integer("in_channels", 1, largest, layer.inputs) || !integers("strides", 2, 1, layer.window.strides) ||
        !integers("dilations", 2, 1, layer.window.dilations) || !integers("pads", 4, 0, layer.window.pads) ||
        !integer("pad_value", 0, 1, layer.pad_value) || !integer("group", 1, largest, layer.group) ||
        !tensor("weight", type_uint8, 4, node.weight) || !packed(*node.weight, layer.inputs))
      return false;
    return kernel(node, node.weight->dims + 1);
  }

  bool binary_dense(Node &node) {
    node.weights = Weights::bits;
    if (!integer("in_features", 1, largest, node.layer.inputs) || !tensor("weight", type_uint8, 2, node.weight) ||
        !packed(*node.weight, node.layer.inputs))
      return false;
    node.layer.outputs = node.weight->dims[0];
    return true;
  }

  bool conv(Node &node) {
    Layer &layer = node.layer;
    node.weights = Weights::reals;
    if (!integers("strides", 2, 1, layer.window.strides) || !integers("dilations", 2, 1, layer.window.dilations) ||
        !integers("pads", 4, 0, layer.window.pads) || !integer("group", 1, largest, layer.group) ||
        !tensor("weight", type_float, 4, node.weight))
      return false;
    layer.inputs = node.weight->dims[1];
    return kernel(node, node.weight->dims + 2) && bias(node);
  }

  bool gemm(Node &node) {
    int64_t transposed = 0;
    node.weights = Weights::reals;
    if (!integer("transB", 1, 1, transposed) || !tensor("weight", type_float, 2, node.weight))
      return false;
    node.layer.outputs = node.weight->dims[0];
    node.layer.inputs = node.weight->dims[1];
    return bias(node);
  }

  bool bias(Node &node) {
    if (input == from.input_count)
      return true;
    if (!tensor("bias", type_float, 1, node.bias))
      return false;
    return node.bias->dims[0] == node.weight->dims[0] || fail("has a bias of another length than its outputs");
  }

  bool kernel(Node &node, const int64_t *sides) {
    Layer &layer = node.layer;
    const int64_t channels = node.weight->dims[0];
    if (channels % layer.group != 0)
      return error.fail(BNNT_UNSUPPORTED, from.name, ": ", channels, " output channels do not divide into ",
                        layer.group, " groups");
    layer.outputs = channels / layer.group;
    layer.window.kernel[0] = sides[0];
    layer.window.kernel[1] = sides[1];
    return true;
  }

  bool pool(Node &node, const char *kernel, const char *strides, const char *pads) {
    return integers(kernel, 2, 1, node.pool.kernel) && integers(strides, 2, 1, node.pool.strides) &&
           integers(pads, 4, 0, node.pool.pads);
  }

  // One parameter for each of `channels`: [C], or [C, 1, 1] for a value of rank 3.
  bool per_channel(const char *key, int32_t type, int64_t channels, int32_t rank, const Tensor *&found) {
    if (!tensor(key, type, rank, found))
      return false;
    if (found->dims[0] != channels || (rank == 3 && (found->dims[1] != 1 || found->dims[2] != 1)))
      return error.fail(BNNT_UNSUPPORTED, from.name, ": its ", key, " has ", found->dims[0], " entries for ", channels,
                        " channels");
    return true;
  }

  bool constant(const char *key, float value) {
    const Tensor *found = nullptr;
    if (!tensor(key, type_float, 0, found))
      return false;
    return found->real(0) == value || fail("clips to other bounds than -1 and 1");
  }
};

namespace {

bool read_offset(Parts &parts, Node &node) { return parts.integer("offset", 0, 255, node.offset); }

bool read_bounds(Parts &parts, Node &) { return parts.constant("min", -1) && parts.constant("max", 1); }

bool read_pool(Parts &parts, Node &node) { return parts.pool(node, "kernel_shape", "strides", "pads"); }

bool read_conv(Parts &parts, Node &node) { return parts.conv(node) && parts.reads(node, 3); }

bool read_gemm(Parts &parts, Node &node) { return parts.gemm(node) && parts.reads(node, 1); }

bool read_binary_conv(Parts &parts, Node &node) { return parts.binary_conv(node) && parts.reads(node, 3); }

bool read_binary_dense(Parts &parts, Node &node) { return parts.binary_dense(node) && parts.reads(node, 1); }

bool read_pooled_conv(Parts &parts, Node &node) {
  node.pooled = true;
  return read_binary_conv(parts, node) && parts.pool(node, "pool_kernel", "pool_strides", "pool_pads");
}

constexpr unsigned pixels = only(Kind::pixels), bits = only(Kind::bits), acc = only(Kind::acc), real = only(Kind::real);
constexpr Parameter scale{"scale", type_float, &Node::scale}, offset{"offset", type_float, &Node::shift};
constexpr Parameter tau{"tau", type_int32, &Node::tau}, flip{"flip", type_bool, &Node::flip};
constexpr Parameter slope{"slope", type_float, &Node::scale};

// Every operator of OPERATORS.md, literally.
constexpr Operator operators[] = {
    {"bnnt", "PixelInput", 1, pixels, read_offset, {}, as_acc, pixel_input, Rowwise::smaller, nullptr},
    {"bnnt",
     "PixelNormalize",
     1,
     pixels,
     nullptr,
     {scale, offset},
     as_real,
     pixel_normalize,
     Rowwise::smaller,
     nullptr},
    {"bnnt", "Sign", 1, real, nullptr, {}, as_bits, sign, Rowwise::smaller, nullptr},
    {"bnnt", "ToReal", 1, bits | acc, nullptr, {}, as_real, to_real, Rowwise::same, nullptr},
    {"bnnt",
     "BinaryConv2d",
     1,
     bits | acc | real,
     read_binary_conv,
     {},
     as_layer,
     layer_rows,
     Rowwise::parts,
     prepare_layer},
    {"bnnt",
     "BinaryDense",
     1,
     bits | acc | real,
     read_binary_dense,
     {},
     as_layer,
     layer_rows,
     Rowwise::parts,
     prepare_layer},
    {"bnnt", "Flatten", 1, bits | acc | real, nullptr, {}, as_flat, flatten, Rowwise::none, nullptr},
    {"bnnt", "Threshold", 1, acc, nullptr, {tau, flip}, as_bits, threshold, Rowwise::smaller, nullptr},
    {"bnnt", "Affine", 1, acc, nullptr, {scale, offset}, as_real, affine, Rowwise::same, nullptr},
    {"bnnt", "AffineReal", 1, real, nullptr, {scale, offset}, as_real, affine, Rowwise::same, nullptr},
    {"bnnt",
     "BinaryConv2dThreshold",
     1,
     bits | acc,
     read_binary_conv,
     {tau, flip},
     as_layer,
     layer_rows,
     Rowwise::parts,
     prepare_layer},
    {"bnnt",
     "BinaryConv2dMaxPoolThreshold",
     1,
     bits | acc,
     read_pooled_conv,
     {tau, flip},
     as_layer,
     layer_rows,
     Rowwise::parts,
     prepare_layer},
    {"bnnt",
     "BinaryDenseThreshold",
     1,
     bits | acc,
     read_binary_dense,
     {tau, flip},
     as_layer,
     layer_rows,
     Rowwise::parts,
     prepare_layer},
    {"", "MaxPool", 1, bits | acc | real, read_pool, {}, as_pooled, max_pool, Rowwise::parts, nullptr},
    {"", "Relu", 1, real, nullptr, {}, same, relu, Rowwise::same, nullptr},
    {"", "PRelu", 1, real, nullptr, {slope}, same, prelu, Rowwise::same, nullptr},
    {"", "Clip", 1, real, read_bounds, {}, same, hardtanh, Rowwise::same, nullptr},
    {"", "Conv", 1, real, read_conv, {}, as_layer, layer_rows, Rowwise::parts, prepare_layer},
    {"", "Gemm", 1, real, read_gemm, {}, as_layer, layer_rows, Rowwise::parts, prepare_layer},
    {"", "Add", 2, real, nullptr, {}, as_sum, add, Rowwise::same, nullptr},
    {"", "GlobalAveragePool", 1, real, nullptr, {}, as_mean, average, Rowwise::none, nullptr},
};

bool read_parameters(Parts &parts, const Value &x, Node &node) {
  const int64_t channels = node.weights == Weights::none ? x.channels : node.layer.channels();
  const int32_t rank = x.kind == Kind::pixels ? 1 : x.rank;
  for (const Parameter &parameter : node.op->parameters)
    if (parameter.key != nullptr &&
        !parts.per_channel(parameter.key, parameter.type, channels, rank, node.*parameter.tensor))
      return false;
  if (node.flip != nullptr)
    for (size_t i = 0; i < node.flip->data.size; ++i)
      if (node.flip->data.data[i] > 1)
        return parts.fail("has a flip that is neither 0 nor 1");
  return true;
}

// The index of the value called `name` among the first `count`, or -1.
int32_t find_value(const bnnt_session &session, Bytes name, int32_t count) {
  for (int32_t i = 0; i < count; ++i)
    if (session.values[i].name == name)
      return i;
  return -1;
}

} // namespace

bool read_operator(const File &file, const FileNode &from, bnnt_session &session, int32_t index, Error &error) {
  const Operator *op = nullptr;
  for (const Operator &candidate : operators)
    if (from.domain == candidate.domain && from.type == candidate.name)
      op = &candidate;
  if (op == nullptr)
    return error.fail(BNNT_UNSUPPORTED, from.name, ": the native engine has no operator '", from.type,
                      "' of the domain '", from.domain, "'");
  const auto has = [&](Bytes function) {
    return has_function(file, function) ||
           error.fail(BNNT_FORMAT, from.name, ": the file lacks the function '", function, "': it is truncated");
  };
  if (op->domain[0] != 0 && !has(from.type))
    return false;
  if (find_value(session, from.name, index + 1) >= 0)
    return error.fail(BNNT_FORMAT, "two values are called '", from.name, "'");
  Node &node = session.nodes[index] = Node{};
  node.name = from.name;
  node.op = op;
  Parts parts{from, session, error};
  for (; parts.input < op->values; ++parts.input) {
    if (parts.input == from.input_count)
      return parts.fail("lacks an input");
    const int32_t value = find_value(session, from.inputs[parts.input], index + 1);
    if (value < 0)
      return error.fail(BNNT_FORMAT, node.name, ": its input '", from.inputs[parts.input], "' is not an earlier value");
    node.inputs[parts.input] = value;
    session.values[value].last_use = index;
  }
  if ((op->read != nullptr && !op->read(parts, node)) || !read_parameters(parts, session.values[node.inputs[0]], node))
    return false;
  if (node.weights == Weights::bits && !has(text("Unpack")))
    return false;
  if (parts.input != from.input_count || parts.attributes != from.attribute_count)
    return parts.fail("has an input or an attribute more than it takes");
  Value &value = session.values[index + 1] = Value{};
  value.last_use = index;
  return infer(node, session, value, error);
}

} // namespace bnnt
