// Weights of convolutions as words of some outputs side by side: what xor and popcount of whole words read.
#pragma once

#include "convolution.hpp"

namespace bnnt {
namespace {

template <size_t word> size_t words_of(size_t run_bytes) { return (run_bytes + word - 1) / word; }

template <size_t copies> size_t expanded_words(size_t tap) { return copies * tap; }

template <size_t word, size_t block> size_t word_weight_bytes(size_t outputs, size_t runs, size_t run_bytes, size_t) {
  return round_up(outputs, block) * runs * words_of<word>(run_bytes) * word;
}

// [block][run][word][output of the block]
template <size_t word, size_t block> void pack_words(const SignRows &rows, uint8_t *to) {
  for (size_t first = 0; first < rows.outputs; first += block) {
    const size_t count = rows.outputs - first < block ? rows.outputs - first : block;
    for (size_t r = 0; r < rows.runs; ++r)
      for (size_t at = 0; at < rows.run_bytes; ++at) {
        const uint8_t *from = rows.first(first, r, at), mask = rows.mask(at);
        uint8_t *words = to + (r * words_of<word>(rows.run_bytes) + at / word) * word * block + at % word;
        for (size_t o = 0; o < count; ++o, from += rows.row())
          words[o * word] = *from & mask;
      }
    to += rows.runs * words_of<word>(rows.run_bytes) * word * block;
  }
}

inline size_t same_element(size_t output) { return output; }

} // namespace
} // namespace bnnt
