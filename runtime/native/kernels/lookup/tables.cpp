#include "layout.hpp"

namespace bnnt {

// Entry i of the table of a and b, which stands at 16 * (a + 16 * b): the bits in which i differs from a, and from b.
constexpr LookupTables make() {
  LookupTables tables = {};
  for (int a = 0; a < 16; ++a)
    for (int b = 0; b < 16; ++b)
      for (int i = 0; i < 16; ++i)
        tables.entries[16 * (a + 16 * b) + i] = static_cast<uint8_t>(
            __builtin_popcount(static_cast<unsigned>(a ^ i)) + 16 * __builtin_popcount(static_cast<unsigned>(b ^ i)));
  return tables;
}

constexpr LookupTables lookup_tables = make();

} // namespace bnnt
