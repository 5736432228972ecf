#include <immintrin.h>

#include "peaks.hpp"

namespace bnnt {

namespace {

constexpr int count = 4;

// Three lookups, their sum, and the two sums of kernels/lookup: 1536 MAC.
void lookups() {
  struct Both {
    __m512i s, h;
  };
  Both sums[count] = {};
  __m512i table = _mm512_set1_epi8(5), w = table;
  for (int i = 0; i < peak_steps; ++i)
    for (Both &sum : sums) {
      __m512i t[3];
      for (__m512i &one : t) {
        asm volatile("" : "+v"(w));
        one = _mm512_shuffle_epi8(table, w);
      }
      const __m512i three = _mm512_add_epi8(_mm512_add_epi8(t[0], t[1]), t[2]);
      sum.s = _mm512_add_epi8(sum.s, three);
      sum.h = _mm512_add_epi8(sum.h, _mm512_srli_epi16(three, 4));
    }
  for (Both &sum : sums)
    asm volatile("" : "+v"(sum.s), "+v"(sum.h));
}

} // namespace

// Its other kernels are avx2's.
const Peaks avx512bw_peaks{"avx512bw",
                           {lookups, 1536.0 * count * peak_steps},
                           {lookups, 1536.0 * count * peak_steps},
                           {nullptr, 0},
                           {nullptr, 0}};

} // namespace bnnt
