#include "../sums.hpp"
#include "portable.hpp"

namespace bnnt::portable {

void narrow(const Sums &job) { sums<int32_t, int16_t, int32_t, narrow_lanes>(job); }

void real(const Sums &job) { sums<float, float, float, real_lanes>(job); }

} // namespace bnnt::portable
