// What the core uses in place of a standard library: byte ranges, error texts, the caller's memory.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bnnt.h"

namespace bnnt {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files and packed bits are little-endian");

constexpr int32_t most_threads = 1024;

struct Bytes {
  const uint8_t *data = nullptr;
  size_t size = 0;
};

inline Bytes text(const char *literal) {
  return {reinterpret_cast<const uint8_t *>(literal), __builtin_strlen(literal)};
}

inline bool operator==(Bytes a, Bytes b) {
  return a.size == b.size && (a.size == 0 || __builtin_memcmp(a.data, b.data, a.size) == 0);
}

inline bool operator==(Bytes a, const char *literal) { return a == text(literal); }

// A value at an address of any alignment.
template <class T> T load(const void *from) {
  T value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

inline uint64_t round_up(uint64_t value, uint64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// The text of an error, cut where it does not fit.
class Error {
public:
  explicit Error(bnnt_error *out) : out_(out) {
    if (out_ != nullptr) {
      out_->status = BNNT_OK;
      out_->text[0] = 0;
    }
  }

  // Always false, so that a check can end with `return error.fail(...)`.
  template <class... Parts> bool fail(bnnt_status status, Parts... parts) {
    status_ = status;
    if (out_ != nullptr) {
      out_->status = status;
      length_ = 0;
      (append(parts), ...);
      out_->text[length_] = 0;
    }
    return false;
  }

  bnnt_status status() const { return status_; }

private:
  void put(char c) {
    if (length_ + 1 < sizeof out_->text)
      out_->text[length_++] = c;
  }
  // A foreign name may hold anything: control characters must not reach a terminal.
  void append(Bytes part) {
    for (size_t i = 0; i < part.size && i < 80; ++i)
      put(part.data[i] < 0x20 || part.data[i] == 0x7f ? '?' : static_cast<char>(part.data[i]));
  }
  void append(const char *part) {
    for (; *part != 0; ++part)
      put(*part);
  }
  void append(int64_t value) {
    if (value < 0)
      put('-');
    append(value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value));
  }
  void append(int32_t value) { append(static_cast<int64_t>(value)); }
  void append(uint64_t value) {
    char digits[20];
    int count = 0;
    do
      digits[count++] = static_cast<char>('0' + value % 10);
    while ((value /= 10) != 0);
    while (count > 0)
      put(digits[--count]);
  }

  bnnt_error *out_;
  size_t length_ = 0;
  bnnt_status status_ = BNNT_OK;
};

// The caller's memory, handed out from front to back. What does not fit is counted, so that one pass over all that is
// needed also measures it.
class Arena {
public:
  static constexpr uint64_t alignment = 64;
  static constexpr uint64_t limit = uint64_t{1} << 46;

  Arena(void *memory, size_t bytes)
      : base_(static_cast<uint8_t *>(memory)), size_(memory == nullptr ? 0 : bytes),
        start_(memory == nullptr ? 0 : (0 - reinterpret_cast<uintptr_t>(memory)) % alignment), used_(start_) {}

  // nullptr if it does not fit; every later answer is then to be asked for again.
  template <class T> T *take(uint64_t count) {
    const uint64_t start = used_;
    const uint64_t bytes = count < limit / sizeof(T) ? count * sizeof(T) : limit;
    used_ = start + round_up(bytes, alignment);
    if (used_ > limit)
      used_ = limit;
    return used_ <= size_ ? reinterpret_cast<T *>(base_ + start) : nullptr;
  }

  bool fits() const { return used_ <= size_; }
  uint64_t taken() const { return used_ - start_; } // besides what aligns the memory
  // With room to align whatever memory comes.
  uint64_t needed() const { return used_ + alignment; }

private:
  uint8_t *base_;
  uint64_t size_;
  uint64_t start_, used_;
};

} // namespace bnnt
