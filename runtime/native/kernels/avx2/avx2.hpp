// x86-64 with AVX2: Haswell, Zen and later.
#pragma once

#include "../kernels.hpp"

namespace bnnt::avx2 {

// A vector holds one word of 8 outputs.
constexpr size_t word = 4, block = 8;
constexpr size_t values = 4, bytes_block = 16;
constexpr uint8_t offset = 0;
constexpr uint64_t most_weights = uint64_t{1} << 40;
constexpr size_t real_block = 16;

void disagreements(const Dots &job);
void products(const Dots &job);
void byte_products(const Dots &job);
void sums(const Sums &job);
void threshold(const int32_t *acc, const int32_t *taus, const uint8_t *flips, int64_t channels, uint8_t *out);
void maximum(int32_t *to, const int32_t *from, size_t count);

extern const Convolver convolver;
extern const Rows rows;

} // namespace bnnt::avx2
