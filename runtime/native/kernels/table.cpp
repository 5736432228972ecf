// The kernel sets, best first, literally.
#include "../host/cpu.hpp"
#include "kernels.hpp"
#include "portable/portable.hpp"

#if defined(__x86_64__)
#include "avx2/avx2.hpp"
#include "avx512/avx512.hpp"
#include "avx512bw/avx512bw.hpp"
#elif defined(__aarch64__)
#include "neon/neon.hpp"
#endif

namespace bnnt {

static bool everywhere() { return true; }

// Which part of a set comes from which of these.
#define BITS(set, name) "bits " name, "planes " name, set::word, set::block, set::disagreements
#define BYTES(set, name)                                                                                               \
  "bytes " name, set::values, set::bytes_block, set::offset, set::most_weights, set::products, set::byte_products
#define REALS(set, name) "real " name, set::real_block, set::sums

// clang-format off
constexpr Kernels kernel_sets[] = {
#if defined(__x86_64__)
    {"avx512", cpu_has_avx512, everywhere, BITS(avx512, "avx512"), &avx512::lookup, &avx512::direct,
     BYTES(avx512, "avx512"), REALS(avx512, "avx512"), avx512::threshold, avx512::maximum, &avx512::rows},
    {"avx512bw", cpu_has_avx512bw, everywhere, BITS(avx2, "avx2"), &avx512bw::convolver, nullptr, BYTES(avx2, "avx2"),
     REALS(avx2, "avx2"), avx2::threshold, avx2::maximum, &avx2::rows},
    {"avx2", cpu_has_avx2, everywhere, BITS(avx2, "avx2"), &avx2::convolver, nullptr, BYTES(avx2, "avx2"),
     REALS(avx2, "avx2"), avx2::threshold, avx2::maximum, &avx2::rows},
#elif defined(__aarch64__)
    {"neon_inorder_dot", cpu_has_dot_products, cpu_is_inorder, BITS(neon, "neon"), &neon::inorder, nullptr,
     BYTES(neon_dot, "neon_dot"), REALS(portable, "portable"), neon::threshold, portable::maximum, &portable::rows},
    {"neon_inorder", everywhere, cpu_is_inorder, BITS(neon, "neon"), &neon::inorder, nullptr,
     BYTES(neon, "neon"), REALS(portable, "portable"), neon::threshold, portable::maximum, &portable::rows},
    {"neon_lookup", cpu_has_dot_products, cpu_looks_up_fast, BITS(neon, "neon"), &neon::lookup, &neon::wide,
     BYTES(neon_dot, "neon_dot"), REALS(portable, "portable"), neon::threshold, portable::maximum, &portable::rows},
    {"neon_dot", cpu_has_dot_products, everywhere, BITS(neon, "neon"), &neon::wide, nullptr,
     BYTES(neon_dot, "neon_dot"), REALS(portable, "portable"), neon::threshold, portable::maximum, &portable::rows},
    {"neon", everywhere, everywhere, BITS(neon, "neon"), &neon::wide, nullptr,
     BYTES(neon, "neon"), REALS(portable, "portable"), neon::threshold, portable::maximum, &portable::rows},
#endif
    {"portable", everywhere, everywhere, BITS(portable, "portable"), nullptr, nullptr, BYTES(portable, "portable"),
     REALS(portable, "portable"), portable::threshold, portable::maximum, &portable::rows},
};
// clang-format on

constexpr int32_t kernel_set_count = sizeof kernel_sets / sizeof kernel_sets[0];

} // namespace bnnt
