// Vectors of as many numbers, by the size of the reals in bytes. Spelled out, because compilers disagree on attributes
// that depend on a template's parameter.
#pragma once

#include <stdint.h>

namespace bnnt {
namespace {

template <int bytes> struct Vectors;

template <> struct Vectors<16> {
  typedef float Reals __attribute__((vector_size(16)));
  typedef int32_t Integers __attribute__((vector_size(16)));
  typedef uint8_t Bytes __attribute__((vector_size(4)));
};

template <> struct Vectors<32> {
  typedef float Reals __attribute__((vector_size(32)));
  typedef int32_t Integers __attribute__((vector_size(32)));
  typedef uint8_t Bytes __attribute__((vector_size(8)));
};

template <> struct Vectors<64> {
  typedef float Reals __attribute__((vector_size(64)));
  typedef int32_t Integers __attribute__((vector_size(64)));
  typedef uint8_t Bytes __attribute__((vector_size(16)));
};

} // namespace
} // namespace bnnt
