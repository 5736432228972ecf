// The kernels that run everywhere.
#pragma once

#include "../kernels.hpp"

namespace bnnt::portable {

constexpr size_t word = 8, block = 4; // of disagreements
constexpr int narrow_lanes = 64, real_lanes = 32;

void disagreements(const Disagreements &job);
void narrow(const Sums &job);
void real(const Sums &job);
void threshold(const int32_t *acc, const int32_t *taus, const uint8_t *flips, int64_t channels, uint8_t *out);

} // namespace bnnt::portable
