// Vectors of numbers by their size in bytes. Spelled out, because compilers disagree on attributes that depend on a
// template's parameter.
#pragma once

#include <stdint.h>

namespace bnnt {
namespace {

template <int bytes> struct Vectors;

template <> struct Vectors<16> {
  typedef float Reals __attribute__((vector_size(16)));
  typedef int32_t Integers __attribute__((vector_size(16)));
};

template <> struct Vectors<32> {
  typedef float Reals __attribute__((vector_size(32)));
  typedef int32_t Integers __attribute__((vector_size(32)));
};

template <> struct Vectors<64> {
  typedef float Reals __attribute__((vector_size(64)));
  typedef int32_t Integers __attribute__((vector_size(64)));
};

} // namespace
} // namespace bnnt
