#include "../tiles.hpp"
#include "portable.hpp"

namespace bnnt::portable {

namespace {

// `tile` pixels at a time share each weight that is loaded; 3 by 2 counts fit the registers of x86-64.
template <int tile> void run(const Dots &job, const uint8_t *first, const uint8_t *weight, int32_t *out) {
  uint64_t counts[tile][block] = {};
  const size_t step = job.pixel_step;
  for (size_t r = 0; r < job.runs; ++r, first += job.run_step) {
    for (const uint8_t *x = first, *const end = first + job.run * word; x != end; x += word, weight += block * word) {
      for (size_t o = 0; o < block; ++o) {
        const uint64_t w = load<uint64_t>(weight + o * word);
        for (int p = 0; p < tile; ++p)
          counts[p][o] +=
              static_cast<uint64_t>(__builtin_popcountll(load<uint64_t>(x + static_cast<size_t>(p) * step) ^ w));
      }
    }
  }
  for (int p = 0; p < tile; ++p)
    for (size_t o = 0; o < block; ++o)
      out[static_cast<size_t>(p) * job.stride + o] = job.base - (static_cast<int32_t>(counts[p][o]) << job.shift);
}

} // namespace

void disagreements(const Dots &job) {
  in_tiles<3, 1>(job, block, word, [&]<int tile>(const uint8_t *first, const uint8_t *weights, size_t, int32_t *out) {
    run<tile>(job, first, weights, out);
  });
}

} // namespace bnnt::portable
