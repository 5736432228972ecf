// x86-64 with AVX-512 F, BW, VL and DQ but no popcount of vectors: Skylake-X and Cascade Lake. The rest is avx2's.
#pragma once

#include "../kernels.hpp"

namespace bnnt::avx512bw {

extern const Convolver convolver;

} // namespace bnnt::avx512bw
