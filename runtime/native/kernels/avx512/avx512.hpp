// x86-64 with AVX-512 F, BW, VL, DQ, VNNI, VPOPCNTDQ and VBMI, and GFNI: Ice Lake, Zen 4 and later.
#pragma once

#include "../kernels.hpp"

namespace bnnt::avx512 {

// A vector holds one word of 16 outputs, so nothing is summed across its lanes.
constexpr size_t word = 4, block = 16;
constexpr size_t values = 4, bytes_block = 32;
constexpr uint8_t offset = 0;
constexpr uint64_t most_weights = uint64_t{1} << 18;
constexpr size_t real_block = 32;

void disagreements(const Dots &job);
void products(const Dots &job);
constexpr auto byte_products = products; // the instruction takes any weights
void sums(const Sums &job);
void threshold(const int32_t *acc, const int32_t *taus, const uint8_t *flips, int64_t channels, uint8_t *out);
void maximum(int32_t *to, const int32_t *from, size_t count);

extern const Convolver lookup, direct;
extern const Rows rows;

} // namespace bnnt::avx512
