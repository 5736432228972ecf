// A node of the file becomes a node of the model: operator, attributes, tensors, and the value that it yields.
#pragma once

#include "../file/onnx.hpp"

namespace bnnt {

constexpr unsigned only(Kind kind) { return 1u << static_cast<unsigned>(kind); }

// Reads node `index` into session.nodes[index] and session.values[index + 1].
bool read_operator(const File &file, const FileNode &from, bnnt_session &session, int32_t index, Error &error);

// What operators yield (shapes.cpp): `result` comes as a copy of `x`. False after error.fail.
bool same(Node &, const bnnt_session &, const Value &x, Value &result, Error &);
bool as_acc(Node &, const bnnt_session &, const Value &x, Value &result, Error &); // pixels minus the offset
bool as_bits(Node &, const bnnt_session &, const Value &x, Value &result, Error &);
bool as_real(Node &, const bnnt_session &, const Value &x, Value &result, Error &);
bool as_layer(Node &, const bnnt_session &, const Value &x, Value &result, Error &);
bool as_pooled(Node &, const bnnt_session &, const Value &x, Value &result, Error &);
bool as_flat(Node &, const bnnt_session &, const Value &x, Value &result, Error &);
bool as_mean(Node &, const bnnt_session &, const Value &x, Value &result, Error &);
bool as_sum(Node &, const bnnt_session &, const Value &x, Value &result, Error &);

// The value that `node` yields; false where its inputs do not fit it.
bool infer(Node &node, const bnnt_session &session, Value &result, Error &error);

} // namespace bnnt
