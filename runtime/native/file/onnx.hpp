// The .onnx file as it lies in memory: found, counted and bounds-checked, not yet understood.
#pragma once

#include "../model/model.hpp"
#include "protobuf.hpp"

namespace bnnt {

// onnx.proto's numbers
enum : int32_t { type_float = 1, type_uint8 = 2, type_int32 = 6, type_bool = 9 };
enum : uint64_t { attribute_int = 2, attribute_ints = 7 };

inline constexpr const char *foreign = "not an ONNX file, or a truncated one";

struct File {
  static constexpr int32_t most_functions = 24; // there are 14 operators of bnnt, and Unpack
  Bytes graph;
  Bytes functions[most_functions];
  int32_t function_count = 0;
  Bytes input_json;
  int32_t nodes = 0, tensors = 0;
  int64_t input_shape[3] = {}; // height, width, channels
  Bytes output_name;
  int32_t output_rank = 0;
  int64_t output_shape[3] = {};
};

// One NodeProto. Its attributes stay in `body`.
struct FileNode {
  static constexpr int32_t most_inputs = 5;
  Bytes body, name, type, domain;
  Bytes inputs[most_inputs];
  int32_t input_count = 0, attribute_count = 0;
};

// Checks format and versions, finds the graph and counts what is in it.
bool read_file(Bytes model, File &file, Error &error);

// tensors: room for file.tensors.
bool read_tensors(const File &file, Tensor *tensors, Error &error);

bool read_node(Bytes body, FileNode &node, Error &error);

// Calls `each(body)` for every NodeProto of the graph until one answers false.
template <class Each> bool for_each_node(const File &file, Each each) {
  Reader reader(file.graph);
  for (Field field; reader.next(field);)
    if (field.is(1, Wire::bytes) && !each(field.bytes))
      return false;
  return true;
}

// Whether the file holds the function `name` of bnnt's domain, so that a stock runtime can run it too.
bool has_function(const File &file, Bytes name);

// Attributes of a node (attributes.cpp). False after error.fail.
bool read_integer(const FileNode &node, const char *key, int64_t low, int64_t high, int64_t &value, Error &error);
bool read_integers(const FileNode &node, const char *key, int32_t count, int64_t low, int64_t *values, Error &error);

} // namespace bnnt
