#include "portable.hpp"

namespace bnnt::portable {

namespace {

// `tile` pixels at a time share each weight that is loaded.
template <int tile> void run(const Disagreements &job, const uint8_t *patch, const uint8_t *weight, int32_t *out) {
  uint32_t counts[tile][block] = {};
  for (size_t k = 0; k < job.words; ++k) {
    uint64_t x[tile];
    for (int p = 0; p < tile; ++p)
      x[p] = load<uint64_t>(patch + (static_cast<size_t>(p) * job.words + k) * word);
    for (size_t o = 0; o < block; ++o) {
      const uint64_t w = load<uint64_t>(weight + (k * block + o) * word);
      for (int p = 0; p < tile; ++p)
        counts[p][o] += static_cast<uint32_t>(__builtin_popcountll(x[p] ^ w));
    }
  }
  for (int p = 0; p < tile; ++p)
    for (size_t o = 0; o < block; ++o)
      out[static_cast<size_t>(p) * job.stride + o] = job.base - static_cast<int32_t>(counts[p][o] << job.shift);
}

} // namespace

void disagreements(const Disagreements &job) {
  const size_t patch_bytes = job.words * word;
  for (size_t b = 0; b < job.blocks; ++b) {
    const uint8_t *weight = job.weights + b * patch_bytes * block;
    int32_t *out = job.out + b * block;
    size_t p = 0;
    for (; p + 2 <= job.count; p += 2)
      run<2>(job, job.patches + p * patch_bytes, weight, out + p * job.stride);
    if (p < job.count)
      run<1>(job, job.patches + p * patch_bytes, weight, out + p * job.stride);
  }
}

} // namespace bnnt::portable
