#include "../sums.hpp"
#include "portable.hpp"

namespace bnnt::portable {

// The lanes are int16, twice as many to a vector as int32: the whole sum is known to fit.
void products(const Dots &job) {
  for (size_t b = 0; b < job.blocks; ++b) {
    for (size_t p = 0; p < job.count; ++p) {
      int16_t sum[narrow_block] = {};
      const int16_t *weight = reinterpret_cast<const int16_t *>(job.weights) + b * job.runs * job.run * narrow_block;
      for (size_t r = 0; r < job.runs; ++r) {
        const uint8_t *x = job.first + p * job.pixel_step + r * job.run_step;
        for (size_t k = 0; k < job.run; ++k, weight += narrow_block) {
          const int16_t value = load<int16_t>(x + k * sizeof(int16_t));
          for (size_t lane = 0; lane < narrow_block; ++lane)
            sum[lane] = static_cast<int16_t>(sum[lane] + static_cast<int16_t>(value * weight[lane]));
        }
      }
      int32_t *out = job.out + p * job.stride + b * narrow_block;
      for (size_t lane = 0; lane < narrow_block; ++lane)
        out[lane] = sum[lane];
    }
  }
}

#if defined(__aarch64__)
constexpr int tile = 4; // of 32 registers half are sums
#else
constexpr int tile = 2;
#endif

void sums(const Sums &job) { SumRow<16, 4, tile, 2>(job).run(); }

} // namespace bnnt::portable
