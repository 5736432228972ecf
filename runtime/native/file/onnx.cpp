#include "onnx.hpp"

namespace bnnt {

namespace {

constexpr const char *form = "the graph is not in the form that bnnt writes";

bool read_property(Bytes message, File &file, Bytes &format, Error &error) {
  Reader reader(message);
  Bytes key, value;
  for (Field field; reader.next(field);) {
    if (field.is(1, Wire::bytes))
      key = field.bytes;
    else if (field.is(2, Wire::bytes))
      value = field.bytes;
  }
  if (reader.damaged())
    return error.fail(BNNT_FORMAT, "the metadata is damaged");
  if (key == "bnnt.format")
    format = value;
  if (key == "bnnt.input")
    file.input_json = value;
  return true;
}

bool read_opset(Bytes message, uint64_t &onnx, uint64_t &bnnt, Error &error) {
  Reader reader(message);
  Bytes domain;
  uint64_t version = 0;
  for (Field field; reader.next(field);) {
    if (field.is(1, Wire::bytes))
      domain = field.bytes;
    else if (field.is(2, Wire::varint))
      version = field.value;
  }
  if (reader.damaged())
    return error.fail(BNNT_FORMAT, foreign);
  if (domain == "")
    onnx = version;
  else if (domain == "bnnt")
    bnnt = version;
  else
    return error.fail(BNNT_FORMAT, "the file imports the domain '", domain, "', which bnnt does not write");
  return true;
}

bool read_function(Bytes message, File &file, Error &error) {
  if (file.function_count == File::most_functions)
    return error.fail(BNNT_FORMAT, "more than ", File::most_functions, " functions: the file is corrupt");
  Reader reader(message);
  Bytes name, domain;
  for (Field field; reader.next(field);) {
    if (field.is(1, Wire::bytes))
      name = field.bytes;
    else if (field.is(10, Wire::bytes))
      domain = field.bytes;
  }
  if (reader.damaged())
    return error.fail(BNNT_FORMAT, foreign);
  file.functions[file.function_count++] = domain == "bnnt" ? name : Bytes{};
  return true;
}

bool short_name(Bytes name, Error &error) {
  return name.size <= longest_name ||
         error.fail(BNNT_FORMAT, "a name of ", static_cast<uint64_t>(name.size), " bytes: the file is corrupt");
}

// A ValueInfoProto of a tensor [N, dims...]: its name, type, and the dims behind the batch.
bool read_value(Bytes message, Bytes &name, uint64_t &type, int32_t &rank, int64_t *dims, Error &error) {
  Reader value(message);
  Bytes shape;
  for (Field field; value.next(field);) {
    if (field.is(1, Wire::bytes))
      name = field.bytes;
    if (!field.is(2, Wire::bytes))
      continue;
    Reader kind(field.bytes);
    for (Field inner; kind.next(inner);) {
      if (!inner.is(1, Wire::bytes))
        return error.fail(BNNT_FORMAT, form);
      Reader tensor(inner.bytes);
      for (Field part; tensor.next(part);) {
        if (part.is(1, Wire::varint))
          type = part.value;
        else if (part.is(2, Wire::bytes))
          shape = part.bytes;
      }
      if (tensor.damaged())
        return error.fail(BNNT_FORMAT, foreign);
    }
    if (kind.damaged())
      return error.fail(BNNT_FORMAT, foreign);
  }
  Reader sides(shape);
  int32_t count = 0;
  for (Field field; sides.next(field); ++count) {
    if (!field.is(1, Wire::bytes) || count > 3)
      return error.fail(BNNT_FORMAT, form);
    Reader side(field.bytes);
    uint64_t size = 0;
    for (Field part; side.next(part);)
      if (part.is(1, Wire::varint))
        size = part.value;
    if (side.damaged())
      return error.fail(BNNT_FORMAT, foreign);
    if (count == 0)
      continue;
    if (size < 1 || size > static_cast<uint64_t>(largest))
      return error.fail(BNNT_FORMAT, "the value '", name, "' has a side of ", size);
    dims[count - 1] = static_cast<int64_t>(size);
  }
  rank = count - 1;
  if (value.damaged() || sides.damaged())
    return error.fail(BNNT_FORMAT, foreign);
  return true;
}

bool read_graph(File &file, Error &error) {
  Reader reader(file.graph);
  int32_t inputs = 0, outputs = 0;
  for (Field field; reader.next(field);) {
    if (field.wire != Wire::bytes)
      return error.fail(BNNT_FORMAT, form);
    Bytes name;
    uint64_t type = 0;
    int32_t rank = 0;
    switch (field.number) {
    case 1:
      if (++file.nodes > most_nodes)
        return error.fail(BNNT_UNSUPPORTED, "a graph of more than ", most_nodes, " nodes");
      break;
    case 2:
      break;
    case 5:
      if (++file.tensors > 4 * most_nodes)
        return error.fail(BNNT_UNSUPPORTED, "a graph of more than ", 4 * most_nodes, " tensors");
      break;
    case 11:
      ++inputs;
      if (!read_value(field.bytes, name, type, rank, file.input_shape, error))
        return false;
      if (!(name == "pixels") || type != type_uint8 || rank != 3)
        return error.fail(BNNT_FORMAT, "the input '", name, "' is not uint8 pixels [N, H, W, C]");
      break;
    case 12:
      ++outputs;
      if (!read_value(field.bytes, file.output_name, type, file.output_rank, file.output_shape, error))
        return false;
      if (type != type_float)
        return error.fail(BNNT_FORMAT, "the output '", file.output_name, "' is not float32");
      break;
    default:
      return error.fail(BNNT_FORMAT, form);
    }
  }
  if (reader.damaged())
    return error.fail(BNNT_FORMAT, foreign);
  if (inputs != 1 || outputs != 1 || file.nodes == 0)
    return error.fail(BNNT_FORMAT, "a graph of ", file.nodes, " nodes, ", inputs, " inputs and ", outputs, " outputs");
  return true;
}

bool dimension(Tensor &tensor, uint64_t size, Error &error) {
  if (tensor.rank == 4)
    return error.fail(BNNT_FORMAT, "the tensor '", tensor.name, "' has more than 4 dimensions");
  if (size < 1 || size > static_cast<uint64_t>(largest))
    return error.fail(BNNT_FORMAT, "the tensor '", tensor.name, "' has a side of ", static_cast<int64_t>(size));
  tensor.dims[tensor.rank++] = static_cast<int64_t>(size);
  return true;
}

bool read_tensor(Bytes message, Tensor &tensor, Error &error) {
  Reader names(message);
  for (Field field; names.next(field);)
    if (field.is(8, Wire::bytes))
      tensor.name = field.bytes;
  Reader reader(message);
  for (Field field; reader.next(field);) {
    if (field.is(1, Wire::varint)) {
      if (!dimension(tensor, field.value, error))
        return false;
    } else if (field.is(1, Wire::bytes)) {
      Reader packed(field.bytes);
      for (uint64_t size = 0; packed.number(size);)
        if (!dimension(tensor, size, error))
          return false;
      if (packed.damaged())
        return error.fail(BNNT_FORMAT, foreign);
    } else if (field.is(2, Wire::varint)) {
      tensor.type = field.value < 256 ? static_cast<int32_t>(field.value) : 0;
    } else if (field.is(9, Wire::bytes)) {
      tensor.data = field.bytes;
    } else if (!field.is(8, Wire::bytes)) {
      return error.fail(BNNT_FORMAT, "the tensor '", tensor.name, "' has a form that bnnt does not write");
    }
  }
  if (names.damaged() || reader.damaged())
    return error.fail(BNNT_FORMAT, foreign);
  if (!short_name(tensor.name, error))
    return false;
  const bool wide = tensor.type == type_float || tensor.type == type_int32;
  if (!wide && tensor.type != type_uint8 && tensor.type != type_bool)
    return error.fail(BNNT_FORMAT, "the tensor '", tensor.name, "' has a type that bnnt does not write");
  uint64_t expected = wide ? 4 : 1;
  for (int32_t i = 0; i < tensor.rank; ++i)
    expected = expected > message.size ? expected : expected * static_cast<uint64_t>(tensor.dims[i]);
  if (tensor.data.size != expected)
    return error.fail(BNNT_FORMAT, "the tensor '", tensor.name, "' holds ", static_cast<uint64_t>(tensor.data.size),
                      " bytes, its shape wants ", expected);
  return true;
}

} // namespace

bool read_file(Bytes model, File &file, Error &error) {
  Reader reader(model);
  Bytes format;
  uint64_t onnx = 0, bnnt = 0, ir = 0;
  for (Field field; reader.next(field);) {
    if (field.is(1, Wire::varint))
      ir = field.value;
    else if (field.is(7, Wire::bytes))
      file.graph = field.bytes;
    else if (field.is(8, Wire::bytes) && !read_opset(field.bytes, onnx, bnnt, error))
      return false;
    else if (field.is(14, Wire::bytes) && !read_property(field.bytes, file, format, error))
      return false;
    else if (field.is(25, Wire::bytes) && !read_function(field.bytes, file, error))
      return false;
  }
  if (reader.damaged() || file.graph.data == nullptr)
    return error.fail(BNNT_FORMAT, foreign);
  if (format.data == nullptr)
    return error.fail(BNNT_FORMAT, "an ONNX file, but not one that bnnt wrote: export the PyTorch model with bnnt");
  if (!(format == "1"))
    return error.fail(BNNT_FORMAT, "format '", format, "' of bnnt; this version reads '1': export the model again");
  if (ir != 8 || onnx != 18 || bnnt != 1)
    return error.fail(BNNT_FORMAT, "the ONNX version is not the one that bnnt writes");
  return read_graph(file, error);
}

bool read_tensors(const File &file, Tensor *tensors, Error &error) {
  Reader reader(file.graph);
  int32_t count = 0;
  for (Field field; reader.next(field);)
    if (field.is(5, Wire::bytes) && !read_tensor(field.bytes, tensors[count++] = Tensor{}, error))
      return false;
  return true;
}

bool read_node(Bytes body, FileNode &node, Error &error) {
  node = FileNode{};
  node.body = body;
  Reader reader(body);
  int32_t outputs = 0;
  for (Field field; reader.next(field);) {
    if (field.wire != Wire::bytes)
      return error.fail(BNNT_FORMAT, form);
    switch (field.number) {
    case 1:
      if (node.input_count == FileNode::most_inputs)
        return error.fail(BNNT_FORMAT, form);
      node.inputs[node.input_count++] = field.bytes;
      break;
    case 2:
      ++outputs;
      node.name = field.bytes;
      break;
    case 3:
      break;
    case 4:
      node.type = field.bytes;
      break;
    case 5:
      ++node.attribute_count;
      break;
    case 7:
      node.domain = field.bytes;
      break;
    default:
      return error.fail(BNNT_FORMAT, form);
    }
  }
  if (reader.damaged())
    return error.fail(BNNT_FORMAT, foreign);
  if (outputs != 1 || node.name.size == 0)
    return error.fail(BNNT_FORMAT, "a node ", node.type, " with ", outputs, " outputs, or without a name");
  if (!short_name(node.name, error))
    return false;
  for (size_t i = 0; i < node.name.size; ++i)
    if (node.name.data[i] == 0 || node.name.data[i] == '/')
      return error.fail(BNNT_FORMAT, "a node is called '", node.name, "'");
  return true;
}

bool has_function(const File &file, Bytes name) {
  for (int32_t i = 0; i < file.function_count; ++i)
    if (file.functions[i] == name)
      return true;
  return false;
}

} // namespace bnnt
