// Memory whose neighbours on both sides are unmapped: whoever reads or writes a byte outside ends the program.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

namespace bnnt {

// `count` elements that end where the unmapped page begins, and hold `fill` in every byte.
template <class T> class Guarded {
public:
  explicit Guarded(size_t count, uint8_t fill = 0xa5) : count_(count) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), bytes = count * sizeof(T);
    const size_t inside = (bytes + page - 1) / page * page;
    mapped_ = inside + 2 * page;
    void *memory = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      fail();
    base_ = static_cast<uint8_t *>(memory);
    if (inside > 0 && mprotect(base_ + page, inside, PROT_READ | PROT_WRITE) != 0)
      fail();
    data_ = reinterpret_cast<T *>(base_ + page + inside - bytes);
    __builtin_memset(base_ + page, fill, inside);
  }
  ~Guarded() { munmap(base_, mapped_); }
  Guarded(const Guarded &) = delete;
  Guarded &operator=(const Guarded &) = delete;

  T *data() { return data_; }
  const T *data() const { return data_; }
  size_t size() const { return count_; }
  T &operator[](size_t at) { return data_[at]; }
  const T &operator[](size_t at) const { return data_[at]; }

private:
  [[noreturn]] static void fail() {
    perror("mmap");
    exit(2);
  }

  uint8_t *base_ = nullptr;
  T *data_ = nullptr;
  size_t count_, mapped_;
};

} // namespace bnnt
