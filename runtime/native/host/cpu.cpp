#include "cpu.hpp"

#if defined(__x86_64__)

#include <cpuid.h>

#include <stdint.h>

namespace bnnt {

namespace {

struct Leaf {
  unsigned a = 0, b = 0, c = 0, d = 0;
  explicit Leaf(unsigned number) { __get_cpuid_count(number, 0, &a, &b, &c, &d); }
};

bool bit(unsigned word, int index) { return (word >> index & 1) != 0; }

// The registers that the operating system saves: 1 and 2 are SSE and AVX, 5 to 7 AVX-512.
bool saved(uint32_t wanted) {
  if (!bit(Leaf(1).c, 27)) // OSXSAVE
    return false;
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & wanted) == wanted;
}

} // namespace

bool cpu_has_avx2() { return saved(0x06) && bit(Leaf(7).b, 5); }

bool cpu_has_avx512bw() {
  const Leaf leaf(7);
  return saved(0xe6) && bit(leaf.b, 16) && bit(leaf.b, 17) && bit(leaf.b, 30) && bit(leaf.b, 31); // F, DQ, BW, VL
}

bool cpu_has_avx512() {
  const Leaf leaf(7);
  return cpu_has_avx512bw() && bit(leaf.c, 1) && bit(leaf.c, 8) && bit(leaf.c, 11) &&
         bit(leaf.c, 14); // VBMI, GFNI, VNNI, VPOPCNTDQ
}

} // namespace bnnt

#endif
