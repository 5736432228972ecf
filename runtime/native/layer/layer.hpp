// A layer with weights: how it is computed, the form of its weights, its scratch, and its run.
#pragma once

#include "../model/model.hpp"

namespace bnnt {

constexpr size_t tile = 32;         // pixels whose windows are packed at a time
constexpr uint64_t most_block = 64; // outputs: a multiple of every kernel's block

// What a layer's run needs besides its buffers: the image with its padding around it, which all tasks share, and what
// each worker has for itself, as offsets into that.
struct LayerScratch {
  uint64_t shared = 0;  // bytes
  uint64_t patches = 0; // packed windows
  uint64_t values = 0;  // planes: the accumulators of one window
  uint64_t counts = 0;  // planes: one row of disagreements a plane
  uint64_t rows = 0;    // rows of sums
  uint64_t pooled = 0;  // one pooled row
  uint64_t worker = 0;  // bytes
};

// How many rows of sums are alive at a time.
inline int64_t kept_rows(const Node &node) {
  if (!node.pooled)
    return 1;
  return node.pool.kernel[0] < node.layer.height ? node.pool.kernel[0] : node.layer.height;
}

// Chooses the method and the sizes that follow from it.
void choose_method(Node &node, const Value &x, const Kernels &kernels);

LayerScratch layer_scratch(const Node &node, const Value &x, const Value &result, const Kernels &kernels);

// Pointers into `arena`; null where it does not fit.
void place_layer(Node &node, const Kernels &kernels, Arena &arena);

// Writes what place_layer made room for; the node's thresholds are there.
void fill_layer(Node &node, const Value &x, const Kernels &kernels);

// Copies the image into its padding where the method wants that.
void prepare_layer(const Call &call);

void layer_rows(const Call &call, const Part &part);

} // namespace bnnt
