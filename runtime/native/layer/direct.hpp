// Binary convolutions that go straight from bits to their result, band of rows by band of rows.
#pragma once

#include "layer.hpp"

namespace bnnt {

// Whether the kernel set has a convolver and the layer fits it; then `node.layer` is prepared for it.
bool choose_direct(Node &node, const Value &x, const Kernels &kernels);

// Of one group with so many outputs.
uint64_t direct_weight_bytes(const Layer &layer, uint64_t outputs);
void place_direct(Node &node, Arena &arena);
void fill_direct(Node &node, const Value &x);

// What a worker needs, bytes.
uint64_t direct_scratch(const Node &node, const Value &x);

void direct_rows(const Call &call, const Part &part);

} // namespace bnnt
