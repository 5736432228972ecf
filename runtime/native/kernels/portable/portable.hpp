// The kernels that run everywhere.
#pragma once

#include "../kernels.hpp"

namespace bnnt::portable {

constexpr size_t word = 8, block = 2;
constexpr size_t values = 1, bytes_block = 16;
constexpr uint8_t offset = 0;
constexpr uint64_t most_weights = uint64_t{1} << 18;
constexpr size_t real_block = 16; // 4 vectors of 4, 4 pixels: the registers of ARM64

void disagreements(const Dots &job);
void products(const Dots &job);
void byte_products(const Dots &job);
void sums(const Sums &job);
void threshold(const int32_t *acc, const int32_t *taus, const uint8_t *flips, int64_t channels, uint8_t *out);
void maximum(int32_t *to, const int32_t *from, size_t count);

extern const Rows rows;

} // namespace bnnt::portable
