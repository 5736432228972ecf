#include "../sums.hpp"
#include "portable.hpp"

namespace bnnt::portable {

#if defined(__aarch64__)
constexpr int tile = 4; // of 32 registers half are sums
#else
constexpr int tile = 2;
#endif

void sums(const Sums &job) { SumRow<16, 4, tile, 2>(job).run(); }

} // namespace bnnt::portable
