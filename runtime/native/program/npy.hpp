// Arrays in .npy files, read strictly: C order, one known type, a size that fits the shape.
#pragma once

#include "system.hpp"

namespace bnnt {

struct Npy {
  static constexpr int32_t most = 4;
  int32_t rank = 0;
  uint64_t shape[most] = {};
  const uint8_t *data = nullptr;
};

// type: "|u1", "<f4" or "<u8".
bool read_npy(const char *path, const char *type, int32_t rank, Npy &array, Error &error);

bool write_npy(const char *path, const char *type, int32_t rank, const uint64_t *shape, const void *data, Error &error);

} // namespace bnnt
