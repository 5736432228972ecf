#include "tile.hpp"

namespace bnnt::neon {

namespace {

// In assembly, because compilers pair the loads, which then block both ways in, and put what waits for a result right
// behind it. Eight operations of a kind stand together; loads are spread among them.
struct Loop {
  static constexpr size_t expansion = 1;

  // Weights and pixels are read one word beyond the last.
  static inline __attribute__((always_inline)) void count(const uint8_t *const (&x)[pixels], const uint8_t *weights,
                                                          size_t words, uint8x16_t (&bytes)[pixels * vectors]) {
    const uint8_t *a = x[0], *b = x[1], *c = x[2], *d = x[3];
    // clang-format off
    asm volatile(
        "ldr q16, [%[w]]\n ldr q17, [%[w], #16]\n ldr q18, [%[w], #32]\n ldr q19, [%[w], #48]\n add %[w], %[w], #64\n"
        "ld1r {v20.4s}, [%[a]], #4\n ld1r {v21.4s}, [%[b]], #4\n ld1r {v22.4s}, [%[c]], #4\n ld1r {v23.4s}, [%[d]], #4\n"
        "1:\n"
        "eor v24.16b, v16.16b, v20.16b\n eor v25.16b, v17.16b, v20.16b\n eor v26.16b, v18.16b, v20.16b\n"
        "eor v27.16b, v19.16b, v20.16b\n eor v28.16b, v16.16b, v21.16b\n eor v29.16b, v17.16b, v21.16b\n"
        "eor v30.16b, v18.16b, v21.16b\n eor v31.16b, v19.16b, v21.16b\n"
        "cnt v24.16b, v24.16b\n ld1r {v20.4s}, [%[a]]\n cnt v25.16b, v25.16b\n cnt v26.16b, v26.16b\n"
        "cnt v27.16b, v27.16b\n cnt v28.16b, v28.16b\n add %[a], %[a], #4\n cnt v29.16b, v29.16b\n"
        "cnt v30.16b, v30.16b\n cnt v31.16b, v31.16b\n"
        "add %[s0].16b, %[s0].16b, v24.16b\n ld1r {v21.4s}, [%[b]]\n add %[s1].16b, %[s1].16b, v25.16b\n"
        "add %[s2].16b, %[s2].16b, v26.16b\n add %[s3].16b, %[s3].16b, v27.16b\n"
        "add %[s4].16b, %[s4].16b, v28.16b\n add %[b], %[b], #4\n add %[s5].16b, %[s5].16b, v29.16b\n"
        "add %[s6].16b, %[s6].16b, v30.16b\n add %[s7].16b, %[s7].16b, v31.16b\n"
        "eor v24.16b, v16.16b, v22.16b\n eor v25.16b, v17.16b, v22.16b\n eor v26.16b, v18.16b, v22.16b\n"
        "eor v27.16b, v19.16b, v22.16b\n eor v28.16b, v16.16b, v23.16b\n eor v29.16b, v17.16b, v23.16b\n"
        "eor v30.16b, v18.16b, v23.16b\n eor v31.16b, v19.16b, v23.16b\n"
        "cnt v24.16b, v24.16b\n ld1r {v22.4s}, [%[c]]\n cnt v25.16b, v25.16b\n add %[c], %[c], #4\n"
        "cnt v26.16b, v26.16b\n cnt v27.16b, v27.16b\n ld1r {v23.4s}, [%[d]]\n cnt v28.16b, v28.16b\n"
        "add %[d], %[d], #4\n cnt v29.16b, v29.16b\n cnt v30.16b, v30.16b\n ldr q16, [%[w]]\n"
        "cnt v31.16b, v31.16b\n"
        "add %[s8].16b, %[s8].16b, v24.16b\n ldr q17, [%[w], #16]\n add %[s9].16b, %[s9].16b, v25.16b\n"
        "add %[s10].16b, %[s10].16b, v26.16b\n ldr q18, [%[w], #32]\n add %[s11].16b, %[s11].16b, v27.16b\n"
        "add %[s12].16b, %[s12].16b, v28.16b\n ldr q19, [%[w], #48]\n add %[w], %[w], #64\n"
        "add %[s13].16b, %[s13].16b, v29.16b\n add %[s14].16b, %[s14].16b, v30.16b\n subs %[n], %[n], #1\n"
        "add %[s15].16b, %[s15].16b, v31.16b\n"
        "b.ne 1b\n"
        : [n] "+r"(words), [w] "+r"(weights), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d),
          [s0] "+w"(bytes[0]), [s1] "+w"(bytes[1]), [s2] "+w"(bytes[2]), [s3] "+w"(bytes[3]),
          [s4] "+w"(bytes[4]), [s5] "+w"(bytes[5]), [s6] "+w"(bytes[6]), [s7] "+w"(bytes[7]),
          [s8] "+w"(bytes[8]), [s9] "+w"(bytes[9]), [s10] "+w"(bytes[10]), [s11] "+w"(bytes[11]),
          [s12] "+w"(bytes[12]), [s13] "+w"(bytes[13]), [s14] "+w"(bytes[14]), [s15] "+w"(bytes[15])
        :
        : "memory", "cc", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",
          "v29", "v30", "v31");
    // clang-format on
  }
};

void expand(const uint8_t *a, const uint8_t *, size_t taps, size_t tap, uint8_t *to) {
  __builtin_memcpy(to, a, taps * tap);
}

// With a block behind the last one, which the loop reads.
size_t weight_bytes(size_t outputs, size_t runs, size_t run_bytes, size_t tap) {
  return word_weight_bytes<word, block>(outputs, runs, run_bytes, tap) + block * word;
}

} // namespace

const Convolver inorder = {.name = "direct neon_inorder",
                           .pixels = 1,
                           .expanded = expanded_words<Loop::expansion>,
                           .block = block,
                           .apart = block,
                           .unit = word,
                           .expand = expand,
                           .weight_bytes = weight_bytes,
                           .pack = pack_words<word, block>,
                           .element = same_element,
                           .run = run_tiles<Loop>};

} // namespace bnnt::neon
