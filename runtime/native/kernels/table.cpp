// The kernel sets, best first, literally.
#include "kernels.hpp"
#include "portable/portable.hpp"

namespace bnnt {

static bool everywhere() { return true; }

constexpr Kernels kernel_sets[] = {
    {"portable", everywhere,                                                                            //
     "bits portable", "planes portable", portable::word, portable::block, portable::disagreements,      //
     "narrow portable", portable::pair, portable::narrow_block, portable::products,                     //
     "real portable", portable::real_block, portable::sums, portable::threshold, portable::maximum},
};

constexpr int32_t kernel_set_count = sizeof kernel_sets / sizeof kernel_sets[0];

} // namespace bnnt
