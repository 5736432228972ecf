// The order in which the windows of `Dots` are computed, the same for every kernel over them.
#pragma once

#include "kernels.hpp"

namespace bnnt {
namespace {

// Block after block of outputs, whose weights stay near, `tiles` pixels at a time: the largest tile as long as it fits,
// then the next; the last one is 1. `word`: bytes of a word of one output. `run` is called with the size of the tile as
// its template argument, for windows from `first` on, with the block's weights, its first output, and where to write.
template <int... tiles, class Run> void in_tiles(const Dots &job, size_t block, size_t word, Run &&run) {
  for (size_t b = 0; b < job.blocks; ++b) {
    const uint8_t *weights = job.weights + b * job.runs * job.run * block * word;
    const size_t output = b * block;
    size_t p = 0;
    const auto take = [&]<int tile>() {
      for (; p + tile <= job.count; p += tile)
        run.template operator()<tile>(job.first + p * job.pixel_step, weights, output,
                                      job.out + output + p * job.stride);
    };
    (take.template operator()<tiles>(), ...);
  }
}

} // namespace
} // namespace bnnt
