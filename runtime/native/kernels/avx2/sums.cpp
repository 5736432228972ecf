#include "../sums.hpp"
#include "avx2.hpp"

namespace bnnt::avx2 {

void sums(const Sums &job) { sum_row<real_block>(job); }

} // namespace bnnt::avx2
