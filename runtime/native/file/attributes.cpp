#include "onnx.hpp"

namespace bnnt {

namespace {

// The AttributeProto called `key`, of the type `wanted`.
bool find_attribute(const FileNode &node, const char *key, uint64_t wanted, Bytes &found, Error &error) {
  Reader reader(node.body);
  for (Field field; reader.next(field);) {
    if (!field.is(5, Wire::bytes))
      continue;
    Reader attribute(field.bytes);
    Bytes name;
    uint64_t type = 0;
    for (Field part; attribute.next(part);) {
      if (part.is(1, Wire::bytes))
        name = part.bytes;
      else if (part.is(20, Wire::varint))
        type = part.value;
      else if (!part.is(3, Wire::varint) && part.number != 8)
        return error.fail(BNNT_FORMAT, node.name, ": an attribute of ", node.type,
                          " has a form that bnnt does not write");
    }
    if (attribute.damaged())
      return error.fail(BNNT_FORMAT, foreign);
    if (name == key && type == wanted) {
      found = field.bytes;
      return true;
    }
  }
  return error.fail(BNNT_FORMAT, node.name, ": ", node.type, " lacks the attribute '", key, "'");
}

bool within(const FileNode &node, const char *key, int64_t value, int64_t low, int64_t high, Error &error) {
  if (low <= value && value <= high)
    return true;
  return error.fail(BNNT_FORMAT, node.name, ": the attribute '", key, "' is ", value, ", outside [", low, ", ", high,
                    "]");
}

} // namespace

bool read_integer(const FileNode &node, const char *key, int64_t low, int64_t high, int64_t &value, Error &error) {
  Bytes attribute;
  if (!find_attribute(node, key, attribute_int, attribute, error))
    return false;
  Reader reader(attribute);
  value = 0;
  for (Field field; reader.next(field);)
    if (field.is(3, Wire::varint))
      value = static_cast<int64_t>(field.value);
  return within(node, key, value, low, high, error);
}

bool read_integers(const FileNode &node, const char *key, int32_t count, int64_t low, int64_t *values, Error &error) {
  Bytes attribute;
  if (!find_attribute(node, key, attribute_ints, attribute, error))
    return false;
  Reader reader(attribute);
  int32_t found = 0;
  const auto keep = [&](uint64_t value) {
    if (found < count)
      values[found] = static_cast<int64_t>(value);
    ++found;
  };
  for (Field field; reader.next(field);) {
    if (field.is(8, Wire::varint))
      keep(field.value);
    if (!field.is(8, Wire::bytes))
      continue;
    Reader packed(field.bytes);
    for (uint64_t value = 0; packed.number(value);)
      keep(value);
    if (packed.damaged())
      return error.fail(BNNT_FORMAT, foreign);
  }
  if (found != count)
    return error.fail(BNNT_FORMAT, node.name, ": the attribute '", key, "' has ", found, " numbers, not ", count);
  for (int32_t i = 0; i < count; ++i)
    if (!within(node, key, values[i], low, largest, error))
      return false;
  return true;
}

} // namespace bnnt
