// ARM64, all of which has NEON. Compilers make good NEON of the other portable kernels; of popcount they do not.
#pragma once

#include "../kernels.hpp"

namespace bnnt::neon {

// Four vectors hold one word of 16 outputs.
constexpr size_t word = 4, block = 16;

void disagreements(const Dots &job);

} // namespace bnnt::neon
