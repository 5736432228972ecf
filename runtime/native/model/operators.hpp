// A node of the file becomes a node of the model: operator, attributes, tensors, and the value that it yields.
#pragma once

#include "../file/onnx.hpp"

namespace bnnt {

// Reads node `index` into session.nodes[index] and session.values[index + 1].
bool read_operator(const File &file, const FileNode &from, bnnt_session &session, int32_t index, Error &error);

// The value that `node` yields; false where its inputs do not fit it.
bool infer(Node &node, const bnnt_session &session, Value &result, Error &error);

} // namespace bnnt
