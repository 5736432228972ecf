#include "portable.hpp"

namespace bnnt::portable {

namespace {

constexpr size_t most_steps = 128; // of at most 255, before a sum of 16 bits overflows

typedef int16_t Vector __attribute__((vector_size(16)));
typedef int8_t Weights __attribute__((vector_size(8)));
constexpr size_t vectors = bytes_block / 8;

} // namespace

// The lanes are int16, twice as many to a vector as int32.
void products(const Dots &job) {
  for (size_t b = 0; b < job.blocks; ++b)
    for (size_t p = 0; p < job.count; ++p) {
      int32_t *out = job.out + p * job.stride + b * bytes_block;
      __builtin_memcpy(out, job.bases + b * bytes_block, bytes_block * sizeof *out);
      Vector sum[vectors] = {};
      size_t room = most_steps;
      const auto flush = [&] {
        for (size_t lane = 0; lane < bytes_block; ++lane)
          out[lane] += sum[lane / 8][lane % 8];
        for (Vector &each : sum)
          each = Vector{};
        room = most_steps;
      };
      const uint8_t *weight = job.weights + b * job.runs * job.run * bytes_block;
      for (size_t r = 0; r < job.runs; ++r) {
        const uint8_t *x = job.first + p * job.pixel_step + r * job.run_step;
        for (size_t k = 0; k < job.run; ++k, weight += bytes_block) {
          const int16_t value = x[k];
          for (size_t v = 0; v < vectors; ++v)
            sum[v] += __builtin_convertvector(load<Weights>(weight + 8 * v), Vector) * value;
          if (--room == 0)
            flush();
        }
      }
      flush();
    }
}

} // namespace bnnt::portable
