#include "../sums.hpp"
#include "avx512.hpp"

namespace bnnt::avx512 {

void sums(const Sums &job) { sum_row<real_block>(job); }

} // namespace bnnt::avx512
