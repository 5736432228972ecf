// Linux, asked without a C library.
#pragma once

#include "../basic.hpp"

namespace bnnt {

#if defined(__x86_64__)
inline long system_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
constexpr long sys_futex = 202, sys_sched_setaffinity = 203, sys_sched_getaffinity = 204;
#elif defined(__aarch64__)
inline long system_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
constexpr long sys_futex = 98, sys_sched_setaffinity = 122, sys_sched_getaffinity = 123;
#else
#error "this knows Linux on x86-64 and on arm64"
#endif

inline long address(const void *pointer) { return static_cast<long>(reinterpret_cast<uintptr_t>(pointer)); }

// Sleeps while *word is `value`, until somebody wakes it.
inline void futex_wait(const uint32_t *word, uint32_t value) {
  constexpr long wait_private = 128;
  system_call(sys_futex, address(word), wait_private, static_cast<long>(value));
}

inline void futex_wake(const uint32_t *word, long count) {
  constexpr long wake_private = 129;
  system_call(sys_futex, address(word), wake_private, count);
}

// Which CPUs a thread may use.
struct CpuSet {
  static constexpr uint64_t most = 64 * 64;
  uint64_t words[most / 64] = {};

  static CpuSet mine() {
    CpuSet set;
    system_call(sys_sched_getaffinity, 0, sizeof set.words, address(set.words));
    return set;
  }
  static CpuSet only(uint64_t cpu) {
    CpuSet set;
    set.words[cpu / 64] = uint64_t{1} << cpu % 64;
    return set;
  }
  bool apply() const { return system_call(sys_sched_setaffinity, 0, sizeof words, address(words)) >= 0; }
  int32_t count() const {
    int32_t sum = 0;
    for (const uint64_t word : words)
      sum += __builtin_popcountll(word);
    return sum;
  }
  // The CPU with `index` others before it.
  uint64_t at(int32_t index) const {
    for (uint64_t cpu = 0; cpu < most; ++cpu)
      if ((words[cpu / 64] >> cpu % 64 & 1) != 0 && index-- == 0)
        return cpu;
    return 0;
  }
};

} // namespace bnnt
