#include "direct.hpp"

#include "../kernels/kernels.hpp"

namespace bnnt {

namespace {

constexpr uint64_t band_bytes = 192 * 1024; // of an expanded image: it stays in the second cache beside the weights
constexpr uint64_t most_band_bytes = uint64_t{1} << 24;
constexpr uint64_t most_cases = 64; // of windows that reach outside
constexpr uint64_t slack = 64;      // kernels read whole vectors

uint64_t wide(int64_t value) { return static_cast<uint64_t>(value); }

int64_t tap_bytes(const Layer &layer) { return (layer.inputs + 7) / 8; }

// Bytes of a pixel of the expanded image: one tap for each group.
size_t expanded_pixel(const Layer &layer, const Convolver &convolver) {
  return static_cast<size_t>(layer.group) * convolver.expanded(static_cast<size_t>(tap_bytes(layer)));
}

// Rows of the padded image from the first that a window reads to the last.
int64_t span(const Layer &layer) { return (layer.window.kernel[0] - 1) * layer.window.dilations[0] + 1; }

// Pixels of a row of the result and of the image: those of all images where these are vectors.
int64_t columns(const Layer &layer) { return layer.width * layer.images; }
int64_t columns(const Layer &layer, const Value &x) { return x.width * layer.images; }

// Whether neighbouring taps lie side by side in memory.
bool side_by_side(const Layer &layer) { return layer.group == 1 && layer.window.dilations[1] == 1; }

// How many outputs along an axis, from the first on and from the last back, have taps outside.
void count_borders(const Layer &layer, int axis, int64_t size, int64_t outputs, int64_t &before, int64_t &after) {
  const Window &window = layer.window;
  const int64_t stride = window.strides[axis], pad = window.pads[axis];
  const int64_t reach = (window.kernel[axis] - 1) * window.dilations[axis];
  before = (pad + stride - 1) / stride;
  before = before < outputs ? before : outputs;
  const int64_t room = size + pad - reach; // the first start of a window that reaches beyond the end
  int64_t first = room <= 0 ? 0 : (room + stride - 1) / stride;
  first = first > before ? first : before;
  after = outputs > first ? outputs - first : 0;
}

// 2 by 2 pixels that never overlap and never lie outside.
bool pools_squares(const Node &node) {
  const Window &pool = node.pool;
  return pool.kernel[0] == 2 && pool.kernel[1] == 2 && pool.strides[0] == 2 && pool.strides[1] == 2 && !pool.padded();
}

// 0 for the outputs between, whose windows lie inside.
int64_t case_of(int64_t at, int64_t outputs, int64_t before, int64_t after) {
  return at < before ? 1 + at : at >= outputs - after ? 1 + before + at - (outputs - after) : 0;
}

// An output of a case.
int64_t output_of(int64_t at, int64_t outputs, int64_t before, int64_t after) {
  return at == 0 ? before : at <= before ? at - 1 : outputs - after + at - 1 - before;
}

SignRows rows_of(const Node &node, int64_t g) {
  const Layer &layer = node.layer;
  const uint64_t bytes = layer.direct.run_count * layer.direct.run_bytes;
  return {.data = node.weight->data.data + wide(g * layer.outputs) * bytes,
          .outputs = static_cast<size_t>(layer.outputs),
          .runs = static_cast<size_t>(layer.direct.run_count),
          .run_bytes = static_cast<size_t>(layer.direct.run_bytes),
          .tap = static_cast<size_t>(tap_bytes(layer)),
          .tail = static_cast<uint8_t>(0xff >> (8 * tap_bytes(layer) - layer.inputs))};
}

// What the weights of one tap sum to.
int64_t sum_of_tap(const Layer &layer, const SignRows &rows, int64_t output, int64_t tap) {
  const size_t taps_of_run = rows.run_bytes / rows.tap, index = static_cast<size_t>(tap);
  const uint8_t *bytes = rows.first(static_cast<size_t>(output), index / taps_of_run, index % taps_of_run * rows.tap);
  int64_t minus = __builtin_popcount(bytes[rows.tap - 1] & rows.tail);
  for (size_t i = 0; i + 1 < rows.tap; ++i)
    minus += __builtin_popcount(bytes[i]);
  return layer.inputs - 2 * minus;
}

bool outside(int64_t output, int64_t tap, const Window &window, int axis, int64_t size) {
  const int64_t at = output * window.strides[axis] - window.pads[axis] + tap * window.dilations[axis];
  return at < 0 || at >= size;
}

// Taps outside the image were read as +1. Counts of disagreements then lack, for each such tap, half of what its
// weights sum to: the accumulator must be smaller by the sum.
void fill_borders(const Node &node, const Value &x) {
  const Layer &layer = node.layer;
  const Direct &direct = layer.direct;
  const Convolver &convolver = *direct.convolver;
  const int64_t columns = 1 + direct.left + direct.right, cases = static_cast<int64_t>(direct.cases());
  __builtin_memset(direct.borders, 0, static_cast<size_t>(wide(layer.group) * direct.cases() * direct.arranged) * 2);
  for (int64_t g = 0; g < layer.group; ++g) {
    const SignRows rows = rows_of(node, g);
    for (int64_t o = 0; o < layer.outputs; ++o) {
      int16_t *lacks = direct.borders + wide(g * cases) * direct.arranged + convolver.element(static_cast<size_t>(o));
      for (int64_t tap = 0; tap < layer.taps(); ++tap) {
        const int64_t sum = sum_of_tap(layer, rows, o, tap);
        for (int64_t which = 1; which < cases; ++which) {
          const int64_t row = output_of(which / columns, layer.height, direct.top, direct.bottom);
          const int64_t column = output_of(which % columns, layer.width, direct.left, direct.right);
          if (outside(row, tap / layer.window.kernel[1], layer.window, 0, x.height) ||
              outside(column, tap % layer.window.kernel[1], layer.window, 1, x.width))
            lacks[wide(which) * direct.arranged] = static_cast<int16_t>(lacks[wide(which) * direct.arranged] + sum);
        }
      }
      for (int64_t which = 1; which < cases; ++which) // the number of inputs is even, and so is each sum
        lacks[wide(which) * direct.arranged] = static_cast<int16_t>(lacks[wide(which) * direct.arranged] / 2);
    }
  }
}

void fill_limits(const Node &node) {
  const Layer &layer = node.layer;
  const Convolver &convolver = *layer.direct.convolver;
  const int64_t base = layer.weights_of_one();
  int16_t *limits = layer.direct.limits;
  for (int64_t g = 0; g < layer.group; ++g, limits += layer.direct.arranged) {
    for (uint64_t o = 0; o < layer.direct.arranged; ++o)
      limits[o] = 0x7fff; // never above: the tail bits are 0
    for (int64_t o = 0; o < layer.outputs; ++o) {
      const int64_t limit = (base - node.taus[g * layer.outputs + o]) >> 1;
      limits[convolver.element(static_cast<size_t>(o))] = static_cast<int16_t>(limit < -1       ? -1
                                                                               : limit > 0x7fff ? 0x7fff
                                                                                                : limit);
    }
  }
}

// What one worker has for a band, as offsets into its scratch.
struct Room {
  uint64_t spots, rows, bytes;
  uint64_t row; // bytes of a padded row that is not expanded

  Room(const Node &node, const Value &x) {
    const Layer &layer = node.layer;
    const Direct &direct = layer.direct;
    const Window &window = layer.window;
    // those of a last row that has no neighbour stand apart
    const uint64_t lines = (direct.rows - 1) * wide(window.strides[0]) + 2 * wide(span(layer));
    const uint64_t width = wide(columns(layer)), count = direct.rows * (width + 1) / direct.convolver->pixels + width;
    spots = round_up(lines * direct.line + slack, Arena::alignment);
    rows = spots + round_up(count * sizeof(Spot), Arena::alignment);
    row = round_up(wide(columns(layer, x) + window.pads[1] + window.pads[3]) * wide(x.packed()), Arena::alignment);
    bytes = rows + 3 * row + slack; // zeros, and a padded row with as many zeros behind it
  }
};

// A band of one image while it is computed.
struct Band {
  const Call &call;
  const Layer &layer;
  const Window &window;
  const Direct &direct;
  const Convolver &convolver;
  int64_t width, inside;     // pixels of a row of the result, and of the image
  size_t packed, pixel, row; // bytes of a packed pixel, an expanded one, and a packed row with its padding
  uint8_t *image;
  Spot *spots;
  uint8_t *zeros, *padded; // rows

  Band(const Call &of, uint8_t *scratch)
      : call(of), layer(of.node.layer), window(layer.window), direct(layer.direct), convolver(*direct.convolver),
        width(layer.width * of.images), inside(of.x.width * of.images), packed(static_cast<size_t>(of.x.packed())),
        pixel(expanded_pixel(layer, convolver)), image(scratch) {
    const Room room(of.node, of.x);
    row = static_cast<size_t>(room.row);
    spots = reinterpret_cast<Spot *>(scratch + room.spots);
    zeros = scratch + room.rows;
    padded = zeros + row;
    __builtin_memset(zeros, 0, 3 * row);
  }

  // Row `y` of the padded image, without what pads it on both sides.
  const uint8_t *input(int64_t y) const {
    const int64_t at = y - window.pads[0];
    return at < 0 || at >= call.x.height ? zeros : call.from + static_cast<size_t>(at * inside) * packed;
  }

  void expand_pixels(const uint8_t *a, const uint8_t *b, size_t pixels, uint8_t *to) const {
    convolver.expand(a, b, pixels * static_cast<size_t>(layer.group), static_cast<size_t>(tap_bytes(layer)), to);
  }

  // Rows y and y + stride of the padded image, one for each pixel of a spot. What pads them is +1: zeros.
  void expand(int64_t y, uint8_t *line) const {
    const size_t before = static_cast<size_t>(window.pads[1]), count = static_cast<size_t>(inside);
    expand_pixels(zeros, zeros, before, line);
    expand_pixels(input(y), input(y + window.strides[0]), count, line + before * pixel);
    expand_pixels(zeros, zeros, static_cast<size_t>(window.pads[3]), line + (before + count) * pixel);
  }

  uint32_t border(int64_t y, int64_t x) const {
    if (direct.borders == nullptr)
      return 0;
    return static_cast<uint32_t>(case_of(y, layer.height, direct.top, direct.bottom) *
                                     (1 + direct.left + direct.right) +
                                 case_of(x, layer.width, direct.left, direct.right));
  }

  uint32_t out(int64_t y, int64_t x) const {
    return static_cast<uint32_t>(call.node.pooled ? y / 2 * call.result.width + x / 2 : y * width + x);
  }

  // The window at (y, x), whose rows begin at expanded row `line`, and for the second pixel of a spot another.
  Spot spot(int64_t line, int64_t y, int64_t x, int64_t other_y, int64_t other_x) const {
    const uint64_t first = wide(line) * direct.line + wide(x * window.strides[1]) * pixel;
    return {static_cast<uint32_t>(first), {out(y, x), out(other_y, other_x)}, {border(y, x), border(other_y, other_x)}};
  }

  // The windows of a row, whose rows begin at expanded row `line`, each with the one of another row below it.
  size_t list_row(int64_t line, int64_t y, int64_t other_y, Spot *to) const {
    const uint32_t step = static_cast<uint32_t>(static_cast<size_t>(window.strides[1]) * pixel);
    Spot next = spot(line, y, 0, other_y, 0);
    for (int64_t x = 0; x < width; ++x, next.first += step, ++next.out[0], ++next.out[1])
      to[x] = next;
    for (int64_t x = 0; direct.borders != nullptr && x < width; ++x) {
      to[x].border[0] = border(y, x);
      to[x].border[1] = border(other_y, x);
    }
    return static_cast<size_t>(width);
  }

  // The windows of two rows whose pixels are pooled in squares: those of a square behind each other.
  size_t list_squares(int64_t line, int64_t y, Spot *to) const {
    const int64_t columns = 2 * call.result.width;
    size_t count = 0;
    for (int64_t x = 0; x < columns; x += 2)
      for (int64_t i = 0; i < (convolver.pixels == 2 ? 2 : 4); ++i) {
        const int64_t below = i / 2, right = i % 2;
        to[count++] = spot(line + below * window.strides[0], y + below, x + right, y + 1, x + right);
      }
    return count;
  }

  // Expands what rows [begin, end) of the convolution read, and lists their spots: how many.
  size_t prepare(int64_t begin, int64_t end) const {
    const bool pairs = convolver.pixels == 2, pooled = call.node.pooled;
    const int64_t stride = window.strides[0], step = pairs || pooled ? 2 : 1, top = begin * stride;
    size_t count = 0;
    int64_t next = top, y = begin; // next: the first row that is not expanded yet
    for (; y + step <= end; y += step) {
      const int64_t line = y * stride - top, below = pairs ? 0 : (step - 1) * stride;
      for (next = next > y * stride ? next : y * stride; next < y * stride + below + span(layer); ++next)
        expand(next, image + wide(next - top) * direct.line);
      count += pooled ? list_squares(line, y, spots + count) : list_row(line, y, y + step - 1, spots + count);
    }
    return y < end ? count + last_row(y, next - top, spots + count) : count;
  }

  // A row without a neighbour: its pixels are paired with those half a row further on, behind which zeros lie.
  size_t last_row(int64_t y, int64_t line, Spot *to) const {
    const int64_t half = (width + 1) / 2;
    const int64_t reach = (half - 1) * window.strides[1] + (window.kernel[1] - 1) * window.dilations[1] + 1;
    const size_t shift = static_cast<size_t>(half * window.strides[1]) * packed;
    for (int64_t ky = 0; ky < span(layer); ++ky) {
      __builtin_memcpy(padded + static_cast<size_t>(window.pads[1]) * packed, input(y * window.strides[0] + ky),
                       static_cast<size_t>(inside) * packed);
      expand_pixels(padded, padded + shift, static_cast<size_t>(reach), image + wide(line + ky) * direct.line);
    }
    for (int64_t x = 0; x < half; ++x)
      to[x] = spot(line, y, x, y, x + half < width ? x + half : x);
    return static_cast<size_t>(half);
  }

  void run(int64_t begin, int64_t end, const Outputs &outputs) const {
    const size_t count = prepare(begin, end);
    const bool bits = call.node.thresholded();
    const uint64_t weights = direct_weight_bytes(layer, wide(layer.outputs)), groups = wide(layer.group);
    const uint64_t before = wide(outputs.first); // 0 where there are groups
    // weights of those before, without what stands behind the last one
    const uint64_t skipped = direct_weight_bytes(layer, before) - direct_weight_bytes(layer, 0);
    for (uint64_t g = 0; g < groups; ++g) {
      const uint64_t first = g * wide(layer.outputs) + before, at = g * direct.arranged + before;
      convolver.run({.image = image + g * (pixel / groups),
                     .spots = spots,
                     .count = count,
                     .runs = direct.runs,
                     .run_count = static_cast<size_t>(direct.run_count),
                     .run_bytes = static_cast<size_t>(direct.run_bytes),
                     .tap = static_cast<size_t>(tap_bytes(layer)),
                     .weights = layer.weights + g * weights + skipped,
                     .outputs = static_cast<size_t>(groups > 1 ? layer.outputs : outputs.end - outputs.first),
                     .base = static_cast<int32_t>(layer.weights_of_one()),
                     .borders = direct.borders == nullptr
                                    ? nullptr
                                    : direct.borders + g * direct.cases() * direct.arranged + before,
                     .border_stride = static_cast<size_t>(direct.arranged),
                     .limits = bits ? direct.limits + at : nullptr,
                     .flips = bits ? call.node.flips + first / 8 : nullptr,
                     .pooled = call.node.pooled,
                     .to = call.to + (bits ? first / 8 : first * sizeof(int32_t)),
                     .pixel = static_cast<size_t>(bits ? call.result.packed() : 4 * call.result.channels)});
    }
  }
};

const Convolver *convolver_for(const Layer &layer, const Kernels &kernels) {
  const Convolver *convolver = kernels.convolver;
  return convolver != nullptr && wide(layer.outputs) < convolver->least_outputs ? kernels.narrow : convolver;
}

} // namespace

bool choose_direct(Node &node, const Value &x, const Kernels &kernels) {
  Layer &layer = node.layer;
  const Window &window = layer.window;
  const Convolver *convolver = convolver_for(layer, kernels);
  const bool zeros = layer.pad_value == 0 && window.padded();
  if (convolver == nullptr || wide(tap_bytes(layer)) % convolver->unit != 0 ||
      wide(x.packed()) % convolver->unit != 0 || layer.weights_of_one() > most_window_bits ||
      layer.height * columns(layer) == 1 || (layer.group > 1 && (layer.inputs % 8 != 0 || layer.outputs % 8 != 0)) ||
      (zeros && layer.inputs % 2 != 0) || (node.pooled && !pools_squares(node)))
    return false;
  Direct direct;
  direct.convolver = convolver;
  const uint64_t stride = wide(window.strides[0]), height = round_up(wide(layer.height), 2);
  direct.run_count = wide(side_by_side(layer) ? window.kernel[0] : layer.taps());
  direct.run_bytes = wide(side_by_side(layer) ? window.kernel[1] : 1) * wide(tap_bytes(layer));
  const uint64_t pixels = wide(columns(layer, x) + window.pads[1] + window.pads[3]);
  direct.line = round_up(pixels * expanded_pixel(layer, *convolver), Arena::alignment);
  direct.arranged = round_up(wide(layer.outputs), convolver->block);
  const uint64_t lines = band_bytes / direct.line, least = wide(span(layer)) + stride;
  direct.rows = lines > least ? (lines - least) / stride / 2 * 2 + 2 : 2;
  direct.rows = direct.rows < height ? direct.rows : height;
  if (zeros) {
    count_borders(layer, 0, x.height, layer.height, direct.top, direct.bottom);
    count_borders(layer, 1, x.width, layer.width, direct.left, direct.right);
  }
  const uint64_t many_lines = direct.rows * stride + 2 * wide(span(layer));
  if (direct.cases() > most_cases || many_lines > most_band_bytes / direct.line)
    return false;
  layer.direct = direct;
  layer.method = Method::direct;
  layer.block = convolver->block;
  layer.apart = convolver->apart;
  node.kernel = convolver->name;
  return true;
}

uint64_t direct_weight_bytes(const Layer &layer, uint64_t outputs) {
  const Direct &direct = layer.direct;
  return direct.convolver->weight_bytes(static_cast<size_t>(outputs), static_cast<size_t>(direct.run_count),
                                        static_cast<size_t>(direct.run_bytes), static_cast<size_t>(tap_bytes(layer)));
}

uint64_t direct_scratch(const Node &node, const Value &x) { return Room(node, x).bytes; }

void place_direct(Node &node, Arena &arena) {
  Direct &direct = node.layer.direct;
  const uint64_t groups = wide(node.layer.group);
  direct.runs = arena.take<uint32_t>(direct.run_count);
  if (node.thresholded())
    direct.limits = arena.take<int16_t>(groups * direct.arranged);
  if (direct.cases() > 1)
    direct.borders = arena.take<int16_t>(groups * direct.cases() * direct.arranged);
}

void fill_direct(Node &node, const Value &x) {
  const Layer &layer = node.layer;
  const Direct &direct = layer.direct;
  const Convolver &convolver = *direct.convolver;
  const uint64_t bytes = direct_weight_bytes(layer, wide(layer.outputs)), pixel = expanded_pixel(layer, convolver);
  const uint64_t columns = side_by_side(layer) ? 1 : wide(layer.window.kernel[1]);
  for (uint64_t r = 0; r < direct.run_count; ++r)
    direct.runs[r] = static_cast<uint32_t>(r / columns * wide(layer.window.dilations[0]) * direct.line +
                                           r % columns * wide(layer.window.dilations[1]) * pixel);
  __builtin_memset(layer.weights, 0, static_cast<size_t>(wide(layer.group) * bytes));
  for (int64_t g = 0; g < layer.group; ++g)
    convolver.pack(rows_of(node, g), layer.weights + wide(g) * bytes);
  if (direct.limits != nullptr)
    fill_limits(node);
  if (direct.borders != nullptr)
    fill_borders(node, x);
}

void direct_rows(const Call &call, const Part &part) {
  const int64_t factor = call.node.pooled ? 2 : 1, rows = static_cast<int64_t>(call.node.layer.direct.rows);
  const int64_t end = factor * part.end;
  const Band band(call, part.scratch);
  for (int64_t row = factor * part.begin; row < end; row += rows)
    band.run(row, row + rows < end ? row + rows : end, part.outputs);
}

} // namespace bnnt
