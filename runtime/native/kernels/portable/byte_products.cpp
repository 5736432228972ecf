#include "portable.hpp"

namespace bnnt::portable {

namespace {

typedef int32_t Vector __attribute__((vector_size(16)));
typedef int8_t Weights __attribute__((vector_size(4)));
constexpr size_t vectors = bytes_block / 4;

} // namespace

void byte_products(const Dots &job) {
  for (size_t b = 0; b < job.blocks; ++b)
    for (size_t p = 0; p < job.count; ++p) {
      Vector sum[vectors];
      __builtin_memcpy(sum, job.bases + b * bytes_block, sizeof sum);
      const uint8_t *weight = job.weights + b * job.runs * job.run * bytes_block;
      for (size_t r = 0; r < job.runs; ++r) {
        const uint8_t *x = job.first + p * job.pixel_step + r * job.run_step;
        for (size_t k = 0; k < job.run; ++k, weight += bytes_block)
          for (size_t v = 0; v < vectors; ++v)
            sum[v] += __builtin_convertvector(load<Weights>(weight + 4 * v), Vector) * x[k];
      }
      __builtin_memcpy(job.out + p * job.stride + b * bytes_block, sum, sizeof sum);
    }
}

} // namespace bnnt::portable
