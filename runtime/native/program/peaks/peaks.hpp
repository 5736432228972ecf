// Loops of a kernel's instructions on registers alone: no memory, no dependence but through each sum.
#pragma once

#include "../../basic.hpp"

namespace bnnt {

constexpr int peak_steps = 1024;

struct Peak {
  void (*run)();
  double macs; // of one run
};

// Of the kernel sets whose names begin so.
struct Peaks {
  const char *sets;
  Peak bits, lookup, bytes, real;
};

#if defined(__x86_64__)
#define BNNT_VECTOR "+v"
extern const Peaks avx512bw_peaks, avx512_peaks, avx2_peaks;
constexpr const Peaks *all_peaks[] = {&avx512bw_peaks, &avx512_peaks,
                                      &avx2_peaks}; // portable has none: compilers choose
#elif defined(__aarch64__)
#define BNNT_VECTOR "+w"
extern const Peaks neon_peaks;
constexpr const Peaks *all_peaks[] = {&neon_peaks};
#endif

inline bool begins(const char *name, const char *with) {
  while (*with != 0)
    if (*name++ != *with++)
      return false;
  return true;
}

// Those of the set called so; one without a peak has runs that are nullptr.
inline const Peaks &peaks_of(const char *set) {
  static constexpr Peaks none{"", {nullptr, 0}, {nullptr, 0}, {nullptr, 0}, {nullptr, 0}};
  for (const Peaks *peaks : all_peaks)
    if (begins(set, peaks->sets))
      return *peaks;
  return none;
}

namespace { // compiled into each file with that set's instructions

// `count` sums, to each of which add(sum, multiply(x, w)) happens again and again: all products first, as kernels do
// it, as many as hide the latency and fit the registers. The empty assembly costs nothing, and keeps the compiler from
// knowing that w stays the same.
template <int count, class Sum, class Operand, class Multiply, class Add>
void on_registers(Sum zero, Operand x, Multiply &&multiply, Add &&add) {
  Sum sums[count], products[count];
  for (Sum &sum : sums)
    sum = zero;
  Operand w = x;
  for (int i = 0; i < peak_steps; ++i) {
    for (Sum &product : products) {
      asm volatile("" : BNNT_VECTOR(w));
      product = multiply(x, w);
    }
    for (int s = 0; s < count; ++s)
      sums[s] = add(sums[s], products[s]);
  }
  for (Sum &sum : sums)
    asm volatile("" : BNNT_VECTOR(sum));
}

} // namespace

} // namespace bnnt
