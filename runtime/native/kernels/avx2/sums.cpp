#include "../sums.hpp"
#include "avx2.hpp"

namespace bnnt::avx2 {

void sums(const Sums &job) { SumRow<32, 2, 6, 4>(job).run(); }

} // namespace bnnt::avx2
