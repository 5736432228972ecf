// What the tests of kernels count, and how the first difference ends them.
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "../kernels/kernels.hpp"

namespace bnnt {

namespace {

size_t cases; // of the function under test

[[noreturn]] void differ(const Kernels &set, const char *function, const char *sizes, size_t at, int64_t expected,
                         int64_t found) {
  printf("%s %s differs: %s, element %zu: expected %lld, found %lld\n", set.name, function, sizes, at,
         static_cast<long long>(expected), static_cast<long long>(found));
  exit(1);
}

} // namespace

} // namespace bnnt
