#include "../sums.hpp"
#include "avx512.hpp"

namespace bnnt::avx512 {

void sums(const Sums &job) { SumRow<64, 2, 8, 4>(job).run(); }

} // namespace bnnt::avx512
