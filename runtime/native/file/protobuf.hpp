// A protobuf reader that never looks outside its bytes.
#pragma once

#include "../basic.hpp"

namespace bnnt {

enum class Wire : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct Field {
  uint64_t number = 0;
  Wire wire = Wire::varint;
  uint64_t value = 0; // of a varint; a negative int64 is its two's complement
  Bytes bytes;        // of a length-delimited field

  bool is(uint64_t wanted, Wire type) const { return number == wanted && wire == type; }
};

// The fields of one message, in order.
class Reader {
public:
  explicit Reader(Bytes message) : rest_(message) {}

  // False at the end, and at damage: then damaged() is true.
  bool next(Field &field) {
    if (damaged_ || rest_.size == 0)
      return false;
    uint64_t tag = 0;
    if (!varint(tag))
      return stop();
    field = Field{};
    field.number = tag >> 3;
    field.wire = static_cast<Wire>(tag & 7);
    if (field.number == 0)
      return stop();
    switch (field.wire) {
    case Wire::varint:
      return varint(field.value) || stop();
    case Wire::fixed64:
      return skip(8) || stop();
    case Wire::fixed32:
      return skip(4) || stop();
    case Wire::bytes: {
      uint64_t size = 0;
      if (!varint(size) || size > rest_.size)
        return stop();
      field.bytes = {rest_.data, static_cast<size_t>(size)};
      return skip(size);
    }
    }
    return stop();
  }

  bool damaged() const { return damaged_; }

  // One number of a packed repeated field.
  bool number(uint64_t &value) {
    if (damaged_ || rest_.size == 0)
      return false;
    return varint(value) || stop();
  }

private:
  bool stop() {
    damaged_ = true;
    return false;
  }
  bool skip(uint64_t count) {
    if (count > rest_.size)
      return false;
    rest_ = {rest_.data + count, rest_.size - static_cast<size_t>(count)};
    return true;
  }
  bool varint(uint64_t &value) {
    value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (rest_.size == 0)
        return false;
      const uint8_t byte = *rest_.data;
      skip(1);
      if (shift == 63 && byte > 1)
        return false;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0)
        return true;
    }
    return false;
  }

  Bytes rest_;
  bool damaged_ = false;
};

} // namespace bnnt
