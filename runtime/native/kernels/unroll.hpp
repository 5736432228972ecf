// Loops over arrays that are to become registers. Compilers unroll some of them too late for that.
#pragma once

#if defined(__clang__)
#define BNNT_UNROLL _Pragma("clang loop unroll(full)")
#define BNNT_KEEP_ROLLED _Pragma("clang loop unroll(disable)")
#else
#define BNNT_UNROLL _Pragma("GCC unroll 16")
#define BNNT_KEEP_ROLLED _Pragma("GCC unroll 1")
#endif

// Functions whose arrays are registers.
#define BNNT_INLINE inline __attribute__((always_inline))
