#include "portable.hpp"

namespace bnnt::portable {

namespace {

// `tile` pixels at a time share each weight that is loaded.
template <int tile> void run(const Dots &job, const uint8_t *first, const uint8_t *weight, int32_t *out) {
  uint64_t counts[tile][block] = {};
  for (size_t r = 0; r < job.runs; ++r, first += job.run_step) {
    for (size_t k = 0; k < job.run; ++k, weight += block * word) {
      uint64_t x[tile];
      for (int p = 0; p < tile; ++p)
        x[p] = load<uint64_t>(first + static_cast<size_t>(p) * job.pixel_step + k * word);
      for (size_t o = 0; o < block; ++o)
        for (int p = 0; p < tile; ++p)
          counts[p][o] += static_cast<uint64_t>(__builtin_popcountll(x[p] ^ load<uint64_t>(weight + o * word)));
    }
  }
  for (int p = 0; p < tile; ++p)
    for (size_t o = 0; o < block; ++o)
      out[static_cast<size_t>(p) * job.stride + o] = job.base - (static_cast<int32_t>(counts[p][o]) << job.shift);
}

} // namespace

void disagreements(const Dots &job) {
  for (size_t b = 0; b < job.blocks; ++b) {
    const uint8_t *weight = job.weights + b * job.runs * job.run * block * word;
    int32_t *out = job.out + b * block;
    size_t p = 0;
    for (; p + 2 <= job.count; p += 2)
      run<2>(job, job.first + p * job.pixel_step, weight, out + p * job.stride);
    if (p < job.count)
      run<1>(job, job.first + p * job.pixel_step, weight, out + p * job.stride);
  }
}

} // namespace bnnt::portable
