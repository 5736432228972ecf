// The windows of a convolution, packed one behind the other as the kernels take them.
#pragma once

#include "../model/model.hpp"

namespace bnnt {

// Appends `count` bits from bit `from` of `source` at bit `to` of `target`, whose bits from there on are 0.
void append_bits(uint8_t *target, uint64_t to, const uint8_t *source, uint64_t from, uint64_t count);

// The window of group `g` at output (row, column) of the packed x, `bytes` long; taps outside the image are +1.
void gather_bits(const Layer &layer, const Value &x, const uint8_t *from, int64_t row, int64_t column, int64_t g,
                 uint8_t *patch, size_t bytes);

// The same window of accumulators as bit planes of `bytes` each; values: room for one window, rounded up to 8.
void gather_planes(const Layer &layer, const Value &x, const int32_t *from, int64_t row, int64_t column, int64_t g,
                   uint32_t *values, uint8_t *patches, size_t bytes);

// Whether windows of bytes are to be gathered: short rows fill their last words badly. Words of a whole window, and of
// its rows one by one.
constexpr bool worth_gathering(uint64_t together, uint64_t apart) { return 8 * together < 7 * apart; }

constexpr size_t gather_step = 16; // bytes that are read and written at a time

// `count` windows of bytes one behind the other, `window` bytes each: `runs` runs of `run` bytes, run r of pixel p at
// from + p * pixel_step + r * run_step. Reads and writes up to a step beyond.
void gather_bytes(const uint8_t *from, size_t count, size_t pixel_step, size_t run_step, size_t runs, size_t run,
                  size_t window, uint8_t *patches);

} // namespace bnnt
