// ARM64, all of which has NEON; what differs between its cores is which instructions are fast.
#pragma once

#include "../kernels.hpp"

namespace bnnt::neon {

// Four vectors hold one word of 16 outputs.
constexpr size_t word = 4, block = 16;
constexpr size_t values = 2, bytes_block = 32;
constexpr uint8_t offset = 0;
constexpr uint64_t most_weights = uint64_t{1} << 18;

void disagreements(const Dots &job);
void products(const Dots &job);
void byte_products(const Dots &job);
void threshold(const int32_t *acc, const int32_t *taus, const uint8_t *flips, int64_t channels, uint8_t *out);

extern const Convolver wide;    // cores whose loads that repeat a word take a slot of NEON: all operands by plain loads
extern const Convolver inorder; // cores that run as written
extern const Convolver lookup;  // cores that look up two registers as fast as they add

} // namespace bnnt::neon

// With the dot products of ARMv8.2.
namespace bnnt::neon_dot {

constexpr size_t values = 4, bytes_block = 16;
constexpr uint8_t offset = 128; // the instruction takes signed bytes
constexpr uint64_t most_weights = neon::most_weights;

void products(const Dots &job);
constexpr auto byte_products = products; // the instruction takes any weights

} // namespace bnnt::neon_dot
