// How long a cycle of the CPU takes now, where no counter may be read.
#pragma once

#include "../basic.hpp"

namespace bnnt {

constexpr int cycle_chain = 4096; // cycles of wait_for_each_other()

// Every CPU takes one cycle for an exclusive or whose operand is the one before. Eight stand behind each other whatever
// the compiler thinks of unrolling: a loop of one would take as long as its branch.
inline void wait_for_each_other() {
  uint64_t x = 1, y = 3;
  const auto step = [&] {
    x ^= y;
    asm volatile("" : "+r"(x), "+r"(y));
  };
  for (int i = 0; i < cycle_chain; i += 8) {
    step(), step(), step(), step();
    step(), step(), step(), step();
  }
}

} // namespace bnnt
