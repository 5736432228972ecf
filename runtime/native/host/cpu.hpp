// Which instructions the CPU and the operating system offer.
#pragma once

namespace bnnt {

#if defined(__x86_64__)
bool cpu_has_avx2();
bool cpu_has_avx512bw(); // F, DQ, BW and VL
bool cpu_has_avx512();   // VNNI, VPOPCNTDQ, VBMI and GFNI besides
#elif defined(__aarch64__)
bool cpu_has_dot_products(); // of bytes, ARMv8.2
bool cpu_is_inorder();       // one of the cores that this thread may use, at least
bool cpu_looks_up_fast();    // in two registers as fast as it adds: all cores that this thread may use
#endif

} // namespace bnnt
