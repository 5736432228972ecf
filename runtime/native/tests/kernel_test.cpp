// Every function of every kernel set that this CPU runs, against plain loops over the same numbers: equal to the last
// bit.
//
// The loops know nothing of words, blocks and tiles: each test packs its numbers as the set wants them. All memory ends
// at an unmapped page, so a kernel that touches more than kernels.hpp says ends the program.
#include "convolution_test.hpp"
#include "dots_test.hpp"
#include "rows_test.hpp"
#include "sums_test.hpp"

namespace bnnt {

namespace {

void threshold(const Kernels &set) {
  Noise noise(2);
  constexpr int64_t bound = 2 * acc_limit;
  for (size_t channels = 1; channels <= 300; ++channels)
    for (int turn = 0; turn < 4; ++turn) {
      const size_t padded = round_up(channels, 16), bytes = (channels + 7) / 8;
      Guarded<int32_t> acc(padded), taus(padded);
      Guarded<uint8_t> flips(bytes), out(bytes);
      for (size_t c = 0; c < padded; ++c) { // those behind the last channel hold anything
        acc[c] = static_cast<int32_t>(c < channels ? noise.between(1 - acc_limit, acc_limit - 1)
                                                   : noise.between(INT32_MIN, INT32_MAX));
        taus[c] = static_cast<int32_t>(noise.between(0, 3) != 0 ? acc[c] + noise.between(-1, 1)
                                       : noise.next() >> 63     ? bound
                                                                : -bound);
        if (c >= channels)
          taus[c] = static_cast<int32_t>(noise.between(INT32_MIN, INT32_MAX));
      }
      for (size_t i = 0; i < bytes; ++i)
        flips[i] = turn == 0 ? 0x00 : turn == 1 ? 0xff : static_cast<uint8_t>(noise.next());
      if (channels % 8 != 0)
        flips[bytes - 1] &= static_cast<uint8_t>((1u << channels % 8) - 1);
      set.threshold(acc.data(), taus.data(), flips.data(), static_cast<int64_t>(channels), out.data());
      char sizes[80];
      snprintf(sizes, sizeof sizes, "%zu channels", channels);
      for (size_t c = 0; c < 8 * bytes; ++c) {
        const bool flip = (flips[c / 8] >> c % 8 & 1) != 0;
        const bool expected = c < channels && (acc[c] < taus[c]) != flip, found = (out[c / 8] >> c % 8 & 1) != 0;
        if (found != expected)
          differ(set, "threshold", sizes, c, expected, found);
      }
      ++cases;
    }
}

void maximum(const Kernels &set) {
  Noise noise(3);
  for (size_t count = 0; count <= 150; ++count) {
    Guarded<int32_t> to(count), from(count), before(count);
    for (size_t i = 0; i < count; ++i) {
      to[i] = before[i] = static_cast<int32_t>(i % 5 == 0 ? INT32_MIN : noise.between(INT32_MIN, INT32_MAX));
      from[i] = static_cast<int32_t>(i % 3 == 0           ? noise.between(INT32_MIN, INT32_MAX)
                                     : to[i] == INT32_MAX ? INT32_MAX
                                                          : to[i] + 1);
    }
    set.maximum(to.data(), from.data(), count);
    char sizes[80];
    snprintf(sizes, sizeof sizes, "%zu elements", count);
    for (size_t i = 0; i < count; ++i) {
      const int32_t expected = before[i] > from[i] ? before[i] : from[i];
      if (to[i] != expected)
        differ(set, "maximum", sizes, i, expected, to[i]);
    }
    ++cases;
  }
}

// Runs `test` on what `member` of the set is, unless an earlier set that ran has the same.
template <class Member, class Test>
void report(int32_t index, const char *function, const char *kernel, Member Kernels::*member, Test &&test) {
  const Kernels &set = kernel_sets[index];
  if (set.*member == Member{})
    return;
  for (int32_t i = 0; i < index; ++i)
    if (kernel_sets[i].runs_here() && kernel_sets[i].*member == set.*member) {
      printf("%s %s (%s): as %s\n", set.name, function, kernel, kernel_sets[i].name);
      return;
    }
  cases = 0;
  test(set);
  printf("%s %s (%s): %zu cases, equal\n", set.name, function, kernel, cases);
}

const char *name_of(const Convolver *convolver) { return convolver != nullptr ? convolver->name : ""; }

} // namespace

} // namespace bnnt

int main() {
  using namespace bnnt;
  setvbuf(stdout, nullptr, _IOLBF, 0);
  for (int32_t i = 0; i < kernel_set_count; ++i) {
    const Kernels &set = kernel_sets[i];
    if (!set.runs_here()) {
      printf("%s SKIPPED: this CPU does not run it\n", set.name);
      continue;
    }
    report(i, "disagreements", set.bits_name, &Kernels::disagreements, [](auto &of) { dots(of, 1, disagree); });
    report(i, "convolution", name_of(set.convolver), &Kernels::convolver,
           [](auto &of) { convolutions(of, *of.convolver); });
    report(i, "narrow_convolution", name_of(set.narrow), &Kernels::narrow,
           [](auto &of) { convolutions(of, *of.narrow); });
    report(i, "products", set.bytes_name, &Kernels::products, [](auto &of) { dots(of, 1, multiply_signs); });
    report(i, "byte_products", set.bytes_name, &Kernels::byte_products, [](auto &of) { dots(of, 1, multiply_bytes); });
    report(i, "sums", set.real_name, &Kernels::sums, sums);
    report(i, "threshold", set.name, &Kernels::threshold, threshold);
    report(i, "maximum", set.name, &Kernels::maximum, maximum);
    report(i, "rows", set.name, &Kernels::rows, rows);
  }
}
