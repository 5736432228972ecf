// The kernel sets, best first, literally.
#include "kernels.hpp"
#include "portable/portable.hpp"

#if defined(__x86_64__)
#include "../host/cpu.hpp"
#include "avx2/avx2.hpp"
#include "avx512/avx512.hpp"
#include "avx512bw/avx512bw.hpp"
#elif defined(__aarch64__)
#include "neon/neon.hpp"
#endif

namespace bnnt {

static bool everywhere() { return true; }

constexpr Kernels kernel_sets[] = {
#if defined(__x86_64__)
    {"avx512",          cpu_has_avx512, //
     "bits avx512",     "planes avx512",       avx512::word,
     avx512::block,     avx512::disagreements, &avx512::convolver, //
     "bytes avx512",    avx512::values,        avx512::bytes_block,
     avx512::offset,    avx512::most_weights,  avx512::products, //
     "real avx512",     avx512::real_block,    avx512::sums,
     avx512::threshold, avx512::maximum,       &avx512::rows},
    {"avx512bw",   cpu_has_avx512bw,                                                                                //
     "bits avx2",  "planes avx2",    avx2::word,        avx2::block,     avx2::disagreements, &avx512bw::convolver, //
     "bytes avx2", avx2::values,     avx2::bytes_block, avx2::offset,    avx2::most_weights,  avx2::products,       //
     "real avx2",  avx2::real_block, avx2::sums,        avx2::threshold, avx2::maximum,       &avx2::rows},
    {"avx2",       cpu_has_avx2,                                                                                //
     "bits avx2",  "planes avx2",    avx2::word,        avx2::block,     avx2::disagreements, &avx2::convolver, //
     "bytes avx2", avx2::values,     avx2::bytes_block, avx2::offset,    avx2::most_weights,  avx2::products,   //
     "real avx2",  avx2::real_block, avx2::sums,        avx2::threshold, avx2::maximum,       &avx2::rows},
#elif defined(__aarch64__)
    {"neon",
     everywhere, //
     "bits neon",
     "planes neon",
     neon::word,
     neon::block,
     neon::disagreements,
     nullptr, //
     "bytes portable",
     portable::values,
     portable::bytes_block,
     portable::offset,
     portable::most_weights,
     portable::products, //
     "real portable",
     portable::real_block,
     portable::sums,
     portable::threshold,
     portable::maximum,
     &portable::rows},
#endif
    {"portable",
     everywhere, //
     "bits portable",
     "planes portable",
     portable::word,
     portable::block,
     portable::disagreements,
     nullptr, //
     "bytes portable",
     portable::values,
     portable::bytes_block,
     portable::offset,
     portable::most_weights,
     portable::products, //
     "real portable",
     portable::real_block,
     portable::sums,
     portable::threshold,
     portable::maximum,
     &portable::rows},
};

constexpr int32_t kernel_set_count = sizeof kernel_sets / sizeof kernel_sets[0];

} // namespace bnnt
