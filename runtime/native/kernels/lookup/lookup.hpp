// Binary convolution by table lookup, two pixels a byte. Written once and compiled into every kernel set whose vectors
// look bytes up, hence the unnamed namespace.
//
// A table belongs to some input bits of each of two pixels, a and b: entry i is popcount(a ^ i) + 16 * popcount(b ^ i),
// where i is as many weight bits of one output. A byte of the result has a field of 4 bits for each pixel. A field
// holds 15, so three lookups of 4 or 5 bits (12 or 15), or two of 6 (12), are added as they are, one step:
//
//     t = T1[w1] + T2[w2] + T3[w3]
//     s += t            bytes, modulo 256: low + 16 * high
//     h += t >> 4       bytes: high, and, where shifts are of 16 bits, 16 * the odd byte's low in the even ones besides
//
// After at most 21 steps (21 * 12 = 252 < 256; 17 * 15 = 255) both counts of a byte follow exactly, modulo 256,
// whatever leaked: `V::separate`. They are then added to counts of 16 bits, the even and the odd bytes apart.
#pragma once

#include "../unroll.hpp"
#include "layout.hpp"

namespace bnnt {

namespace {

// Before a byte of counts overflows.
template <class V> constexpr size_t most_steps = 255 / (V::lookups * V::index_bits);

// Counts of 16 bits of one spot and one vector of outputs: the even and the odd bytes' outputs of each pixel.
template <class V> struct Counts {
  typename V::Type even[2], odd[2]; // of the first and the second pixel; even ones still hold 256 * odd
};

// Adds `steps` steps of `pairs` spots in `vectors` vectors. Where one spot reads the weights they are
// operands in memory; several share each vector that is loaded.
template <class V, int pairs, int vectors>
BNNT_INLINE void look_up(const typename V::Key *const (&x)[pairs], const uint8_t *weights, size_t steps,
                         typename V::Type (&s)[pairs][vectors], typename V::Type (&h)[pairs][vectors]) {
  typename V::Type factor = V::high_factor();
  if constexpr (pairs == 1)
    V::keep(factor);
#if defined(__clang__)
#pragma clang loop unroll_count(V::unrolled)
#endif
  for (size_t t = 0; t < steps; ++t, weights += vectors * V::lookups * V::bytes) {
    typename V::Type sum[pairs][vectors];
    if constexpr (pairs == 1) {
      typename V::Table table[V::lookups];
      BNNT_UNROLL
      for (size_t l = 0; l < V::lookups; ++l)
        table[l] = V::table(x[0][V::lookups * t + l]);
      BNNT_UNROLL
      for (int v = 0; v < vectors; ++v) {
        const uint8_t *w = weights + static_cast<size_t>(v) * V::lookups * V::bytes;
        sum[0][v] = V::look_up(table[0], V::read(w));
        BNNT_UNROLL
        for (size_t l = 1; l < V::lookups; ++l)
          sum[0][v] = V::add8(sum[0][v], V::look_up(table[l], V::read(w + l * V::bytes)));
      }
    } else {
      BNNT_UNROLL
      for (size_t l = 0; l < V::lookups; ++l) {
        typename V::Table table[pairs];
        BNNT_UNROLL
        for (int p = 0; p < pairs; ++p)
          table[p] = V::table(x[p][V::lookups * t + l]);
        BNNT_UNROLL
        for (int v = 0; v < vectors; ++v) {
          typename V::Type w = V::read(weights + (static_cast<size_t>(v) * V::lookups + l) * V::bytes);
          V::keep(w);
          BNNT_UNROLL
          for (int p = 0; p < pairs; ++p)
            sum[p][v] = l == 0 ? V::look_up(table[p], w) : V::add8(sum[p][v], V::look_up(table[p], w));
        }
      }
    }
    BNNT_UNROLL
    for (int i = 0; i < pairs * vectors; ++i) {
      const int p = i / vectors, v = i % vectors;
      s[p][v] = V::add8(s[p][v], sum[p][v]);
      h[p][v] = V::add8(h[p][v], pairs == 1 ? V::high(sum[p][v], factor) : V::shift_right_4(sum[p][v]));
    }
  }
}

// The one or two lookups behind the last step of a run.
template <class V, int pairs, int vectors>
BNNT_INLINE void look_up_rest(const typename V::Key *const (&x)[pairs], const uint8_t *weights, size_t rest,
                              typename V::Type (&s)[pairs][vectors], typename V::Type (&h)[pairs][vectors]) {
  BNNT_UNROLL
  for (int i = 0; i < pairs * vectors; ++i) {
    const int p = i / vectors, v = i % vectors;
    const uint8_t *w = weights + static_cast<size_t>(v) * V::lookups * V::bytes;
    typename V::Type sum = V::look_up(V::table(x[p][0]), V::read(w));
    if (V::lookups > 2 && rest == 2)
      sum = V::add8(sum, V::look_up(V::table(x[p][1]), V::read(w + V::bytes)));
    s[p][v] = V::add8(s[p][v], sum);
    h[p][v] = V::add8(h[p][v], V::shift_right_4(sum));
  }
}

// Where in the runs of a window some steps begin.
struct Stretch {
  size_t run, step, count;
};

template <class V> struct Lookups {
  using Type = typename V::Type;
  using Key = typename V::Key;
  const Convolution &job;
  size_t steps, rest; // of a run; rest: lookups of its last step where that is no whole one, else 0

  explicit Lookups(const Convolution &of)
      : job(of), steps(steps_of<V>(of.run_bytes, of.tap)), rest(lookups_of<V>(of.run_bytes, of.tap) % V::lookups) {}

  // The lookups of a stretch of `pairs` windows, in bytes that leak into each other.
  template <int pairs, int vectors> BNNT_INLINE void look_up_stretch(const Spot *spots, const Stretch &stretch,
                                                                     const uint8_t *weights, Type (&s)[pairs][vectors],
                                                                     Type (&h)[pairs][vectors]) const {
    BNNT_UNROLL
    for (int i = 0; i < pairs * vectors; ++i)
      s[i / vectors][i % vectors] = h[i / vectors][i % vectors] = V::zero();
    size_t run = stretch.run, step = stretch.step;
    for (size_t left = stretch.count; left > 0; ++run, step = 0) {
      const Key *x[pairs];
      BNNT_UNROLL
      for (int p = 0; p < pairs; ++p)
        x[p] = reinterpret_cast<const Key *>(job.image + spots[p].first + job.runs[run]) + V::lookups * step;
      const size_t count = left < steps - step ? left : steps - step;
      const bool ends = rest > 0 && step + count == steps;
      const size_t whole = ends ? count - 1 : count;
      look_up<V, pairs, vectors>(x, weights, whole, s, h);
      weights += count * vectors * V::lookups * V::bytes;
      left -= count;
      if (!ends)
        continue;
      BNNT_UNROLL
      for (int p = 0; p < pairs; ++p)
        x[p] += V::lookups * whole;
      look_up_rest<V, pairs, vectors>(x, weights - vectors * V::lookups * V::bytes, rest, s, h);
    }
  }

  // A stretch of `pairs` windows, the first or a later one; their counts go to `counts` or, of the last one, to the
  // result.
  template <bool first, bool last, int pairs, int vectors> void
  windows(const Spot *spots, const Stretch &stretch, const uint8_t *weights, size_t output, Counts<V> *counts) const {
    Type s[pairs][vectors], h[pairs][vectors];
    look_up_stretch<pairs, vectors>(spots, stretch, weights, s, h);
    // Copies, because a store of bytes might change what `job` holds.
    const size_t outputs = job.outputs, size = job.pixel;
    const int16_t *limits = job.limits;
    const uint8_t *flips = job.flips;
    uint8_t *to = job.to;
    const int32_t base = job.base;
    BNNT_UNROLL
    for (int p = 0; p < pairs; ++p) {
      const int16_t *lacks[2] = {};
      uint8_t *pixels[2] = {};
      if (last) {
        BNNT_UNROLL
        for (int i = 0; i < 2; ++i) {
          lacks[i] = lacks_of(spots[p], i, 0);
          pixels[i] = to + spots[p].out[i] * size;
        }
      }
      BNNT_UNROLL
      for (int v = 0; v < vectors; ++v) {
        V::separate(s[p][v], h[p][v]);
        Counts<V> now = {{s[p][v], h[p][v]}, {V::shift_right_8(s[p][v]), V::shift_right_8(h[p][v])}};
        Counts<V> &before = counts[p * vectors + v];
        if (!first) {
          BNNT_UNROLL
          for (int i = 0; i < 2; ++i) {
            now.even[i] = V::add16(now.even[i], before.even[i]);
            now.odd[i] = V::add16(now.odd[i], before.odd[i]);
          }
        }
        const size_t at = output + static_cast<size_t>(v) * V::bytes;
        if (!last) {
          before = now;
          continue;
        }
        if (at >= outputs)
          continue;
        BNNT_UNROLL
        for (int i = 1; i >= 0; --i) { // a spot of one pixel has a second one without meaning in the same place
          Type even, odd;
          count_of(now, i, lacks[i] == nullptr ? nullptr : lacks[i] + at, even, odd);
          if (limits != nullptr)
            put_bits(pixels[i] + at / 8, even, odd, limits + at, flips + at / 8, outputs - at);
          else
            put_accumulators(reinterpret_cast<int32_t *>(pixels[i]) + at, even, odd, base, outputs - at);
        }
      }
    }
  }

  // The whole counts of one pixel of a spot.
  BNNT_INLINE static void count_of(const Counts<V> &counts, int pixel, const int16_t *lacks, Type &even, Type &odd) {
    odd = counts.odd[pixel];
    even = V::sub16(counts.even[pixel], V::shift_left_8(odd));
    if (lacks == nullptr)
      return;
    even = V::add16(even, V::read(lacks));
    odd = V::add16(odd, V::read(lacks + V::bytes / 2));
  }

  // What the counts of one pixel of a spot lack; null: nothing.
  BNNT_INLINE const int16_t *lacks_of(const Spot &spot, int pixel, size_t output) const {
    if (job.borders == nullptr || spot.border[pixel] == 0)
      return nullptr;
    return job.borders + spot.border[pixel] * job.border_stride + output;
  }

  BNNT_INLINE static void put_bits(uint8_t *to, Type even, Type odd, const int16_t *limit, const uint8_t *flips,
                                   size_t left) {
    const uint64_t bits = V::above(even, V::read(limit), odd, V::read(limit + V::bytes / 2)) ^ load<uint64_t>(flips);
    if (left >= V::bytes)
      __builtin_memcpy(to, &bits, V::bytes / 8);
    else
      for (size_t i = 0; i < (left + 7) / 8; ++i)
        to[i] = static_cast<uint8_t>(bits >> 8 * i);
  }

  BNNT_INLINE static void put_accumulators(int32_t *to, Type even, Type odd, int32_t base, size_t left) {
    if (left >= V::bytes)
      return V::put_accumulators(even, odd, base, to);
    int32_t whole[V::bytes];
    V::put_accumulators(even, odd, base, whole);
    __builtin_memcpy(to, whole, left * sizeof(int32_t));
  }

  // Two spots of two pixels each become one: the largest accumulator is the smallest count.
  template <int vectors> void pool(const Spot *spots, size_t count, const Counts<V> *counts, size_t output) const {
    for (size_t i = 0; i < count; i += 2)
      for (size_t v = 0, at = output; v < vectors && at < job.outputs; ++v, at += V::bytes) {
        Type even, odd;
        for (int part = 0; part < 4; ++part) {
          const size_t spot = i + static_cast<size_t>(part / 2);
          Type e, o;
          count_of(counts[spot * vectors + v], part % 2, lacks_of(spots[spot], part % 2, at), e, o);
          even = part == 0 ? e : V::min16(even, e);
          odd = part == 0 ? o : V::min16(odd, o);
        }
        put_bits(job.to + spots[i].out[0] * job.pixel + at / 8, even, odd, job.limits + at, job.flips + at / 8,
                 job.outputs - at);
      }
  }

  // All spots for `vectors` vectors of outputs: a tile of spots at a time, whose counts stay near while part after part
  // of the weights goes by.
  template <int vectors> void block(const uint8_t *weights, size_t output) const {
    constexpr size_t tile = 64 / vectors;
    constexpr int pairs = V::pairs(vectors);
    Counts<V> counts[tile * vectors];
    const size_t all = job.run_count * steps, parts = (all + most_steps<V> - 1) / most_steps<V>;
    for (size_t first = 0; first < job.count; first += tile) {
      const size_t count = job.count - first < tile ? job.count - first : tile;
      const Spot *spots = job.spots + first;
      for (size_t part = 0; part < parts; ++part) {
        const size_t begin = all * part / parts, end = all * (part + 1) / parts;
        const Stretch now{begin / steps, begin % steps, end - begin};
        const uint8_t *w = weights + begin * vectors * V::lookups * V::bytes;
        const auto sweep = [&]<bool first, bool last>() {
          size_t i = 0;
          for (; i + pairs <= count; i += pairs)
            windows<first, last, pairs, vectors>(spots + i, now, w, output, counts + i * vectors);
          for (; pairs > 1 && i < count; ++i)
            windows<first, last, 1, vectors>(spots + i, now, w, output, counts + i * vectors);
        };
        const bool last = part + 1 == parts && !job.pooled;
        if (part == 0)
          last ? sweep.template operator()<true, true>() : sweep.template operator()<true, false>();
        else
          last ? sweep.template operator()<false, true>() : sweep.template operator()<false, false>();
      }
      if (job.pooled)
        pool<vectors>(spots, count, counts, output);
    }
  }

  void run() const {
    const uint8_t *weights = job.weights;
    for (size_t output = 0; output < job.outputs;) {
      const size_t vectors = vectors_of<V>(job.outputs - output);
      if (vectors == 4)
        block<4>(weights, output);
      else if constexpr (V::tails)
        vectors == 2 ? block<2>(weights, output) : block<1>(weights, output);
      weights += vectors * V::bytes * job.run_count * steps * V::lookups;
      output += vectors * V::bytes;
    }
  }
};

template <class V> void run_lookups(const Convolution &job) { Lookups<V>(job).run(); }

template <class V>
constexpr Convolver lookup_convolver(const char *name, decltype(Convolver::expand) expand, size_t least_outputs) {
  return {.name = name,
          .least_outputs = least_outputs,
          .pixels = 2,
          .expanded = expanded_lookups<V>,
          .block = least_block<V>,
          .apart = 4 * V::bytes,
          .unit = 1,
          .expand = expand,
          .weight_bytes = lookup_weight_bytes<V>,
          .pack = pack_lookups<V>,
          .element = element_of<V>,
          .run = run_lookups<V>};
}

} // namespace

} // namespace bnnt
