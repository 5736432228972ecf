// What the lookups read: the tables, pixels as offsets of tables, and weights as what is looked up.
#pragma once

#include "../convolution.hpp"

namespace bnnt {

// 256 tables of 16 bytes; the number of a table is a + 16 * b.
struct LookupTables {
  alignas(64) uint8_t entries[256 * 16];
};

extern const LookupTables lookup_tables;

namespace {

constexpr size_t lookups = 3; // that are added before the fields of a byte are separated

// One group of outputs of `vectors` vectors. Weights lie as [run][triple][vector][lookup][byte].
template <class V> constexpr size_t vectors_of(size_t outputs) {
  return outputs > 3 * V::bytes ? 4 : outputs > V::bytes ? 2 : 1;
}

inline size_t triples_of(size_t run_bytes) { return (2 * run_bytes + lookups - 1) / lookups; }

// Which 16-bit element of the counts holds an output: even bytes first, then odd ones.
template <class V> size_t element_of(size_t output) {
  const size_t byte = V::byte_of(output % V::bytes);
  return output / V::bytes * V::bytes + byte % 2 * (V::bytes / 2) + byte / 2;
}

// Two pixels' bytes become offsets of tables, two for each byte, the one of the lower four bits first.
inline void expand_lookups(const uint8_t *a, const uint8_t *b, size_t bytes, uint8_t *to) {
  for (size_t i = 0; i < bytes; ++i) {
    const uint16_t offsets[] = {static_cast<uint16_t>((a[i] & 15) << 4 | (b[i] & 15) << 8),
                                static_cast<uint16_t>((a[i] >> 4) << 4 | (b[i] >> 4) << 8)};
    __builtin_memcpy(to + 4 * i, offsets, sizeof offsets);
  }
}

template <class V> size_t lookup_weight_bytes(size_t outputs, size_t runs, size_t run_bytes) {
  return round_up(outputs, V::bytes) * runs * triples_of(run_bytes) * lookups;
}

template <class V> void pack_lookups(const SignRows &rows, uint8_t *to) {
  const size_t triples = triples_of(rows.run_bytes);
  for (size_t first = 0, vectors; first < rows.outputs; first += vectors * V::bytes) {
    vectors = vectors_of<V>(rows.outputs - first);
    for (size_t r = 0; r < rows.runs; ++r)
      for (size_t t = 0; t < triples; ++t)
        for (size_t v = 0; v < vectors; ++v)
          for (size_t l = 0; l < lookups; ++l, to += V::bytes) {
            const size_t nibble = t * lookups + l, at = nibble / 2, output = first + v * V::bytes;
            if (at >= rows.run_bytes || output >= rows.outputs)
              continue;
            const size_t count = rows.outputs - output < V::bytes ? rows.outputs - output : V::bytes;
            const uint8_t *from = rows.first(output, r, at), mask = rows.mask(at);
            for (size_t o = 0; o < count; ++o, from += rows.row())
              to[V::byte_of(o)] = (*from & mask) >> nibble % 2 * 4 & 15;
          }
  }
}

} // namespace
} // namespace bnnt
