// What the lookups read: the tables, pixels as offsets of tables, and weights as what is looked up.
#pragma once

#include "../convolution.hpp"

namespace bnnt {

// 256 tables of 16 bytes for vectors that look up 4 bits; the number of a table is a + 16 * b.
struct LookupTables {
  alignas(64) uint8_t entries[256 * 16];
};

extern const LookupTables lookup_tables;

namespace {

// Tables of more bits are too many; one of two pixels is made of one of each. Entry i of the table of a, which stands
// at entries * a: the bits in which i differs from a.
template <size_t entries> struct PixelTables {
  alignas(64) uint8_t first[entries * entries], second[entries * entries]; // the second pixel's times 16
};

template <size_t entries> constexpr PixelTables<entries> make_pixel_tables() {
  PixelTables<entries> tables = {};
  for (unsigned a = 0; a < entries; ++a)
    for (unsigned i = 0; i < entries; ++i) {
      const int count = __builtin_popcount(a ^ i);
      tables.first[entries * a + i] = static_cast<uint8_t>(count);
      tables.second[entries * a + i] = static_cast<uint8_t>(16 * count);
    }
  return tables;
}

// One group of outputs of `vectors` vectors. Weights lie as [run][step][vector][lookup][byte].
template <class V> constexpr size_t vectors_of(size_t outputs) {
  return !V::tails || outputs > 3 * V::bytes ? 4 : outputs > V::bytes ? 2 : 1;
}

// Outputs are computed in multiples of this.
template <class V> constexpr size_t least_block = V::tails ? V::bytes : 4 * V::bytes;

// Of a tap, whose bits are looked up `V::index_bits` at a time; the last ones of a tap may be fewer.
template <class V> constexpr size_t lookups_of_tap(size_t tap) { return (8 * tap + V::index_bits - 1) / V::index_bits; }

template <class V> size_t lookups_of(size_t run_bytes, size_t tap) { return run_bytes / tap * lookups_of_tap<V>(tap); }

template <class V> size_t steps_of(size_t run_bytes, size_t tap) {
  return (lookups_of<V>(run_bytes, tap) + V::lookups - 1) / V::lookups;
}

template <class V> size_t expanded_lookups(size_t tap) { return lookups_of_tap<V>(tap) * sizeof(typename V::Key); }

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

template <class V> size_t lookup_weight_bytes(size_t outputs, size_t runs, size_t run_bytes, size_t tap) {
  return round_up(outputs, least_block<V>) * runs * steps_of<V>(run_bytes, tap) * V::lookups;
}

// What `lookup` of a run reads of each output, from output `first` on, each in its byte of a vector.
template <class V> void pack_lookup(const SignRows &rows, size_t first, size_t run, size_t lookup, uint8_t *to) {
  const size_t of_tap = lookups_of_tap<V>(rows.tap), bit = lookup % of_tap * V::index_bits, shift = bit % 8;
  const size_t at = lookup / of_tap * rows.tap + bit / 8;
  if (at >= rows.run_bytes || first >= rows.outputs)
    return;
  const size_t count = rows.outputs - first < V::bytes ? rows.outputs - first : V::bytes;
  const bool spans = shift + V::index_bits > 8 && (at + 1) % rows.tap != 0; // two bytes of the tap
  const unsigned mask = rows.mask(at), next_mask = spans ? rows.mask(at + 1) : 0u;
  const uint8_t *from = rows.first(first, run, at), *next = spans ? from + 1 : from;
  for (size_t o = 0; o < count; ++o, from += rows.row(), next += rows.row()) {
    const unsigned both = (*from & mask) | (*next & next_mask) << 8;
    to[V::byte_of(o)] = static_cast<uint8_t>(both >> shift & ((1u << V::index_bits) - 1));
  }
}

template <class V> void pack_lookups(const SignRows &rows, uint8_t *to) {
  const size_t steps = steps_of<V>(rows.run_bytes, rows.tap);
  for (size_t first = 0, vectors; first < rows.outputs; first += vectors * V::bytes) {
    vectors = vectors_of<V>(rows.outputs - first);
    for (size_t r = 0; r < rows.runs; ++r)
      for (size_t t = 0; t < steps; ++t)
        for (size_t v = 0; v < vectors; ++v)
          for (size_t l = 0; l < V::lookups; ++l, to += V::bytes)
            pack_lookup<V>(rows, first + v * V::bytes, r, t * V::lookups + l, to);
  }
}

} // namespace
} // namespace bnnt
