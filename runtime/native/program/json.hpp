// Text that is built in memory, and JSON with it.
#pragma once

#include "system.hpp"

namespace bnnt {

// Room is taken once and committed by the system as it is used.
class Text {
public:
  explicit Text(size_t room) : data_(array<uint8_t>(room)), room_(room) {}

  template <class... Parts> void put(Parts... parts) { (one(parts), ...); }

  // A JSON string. Bytes that are not ASCII are handed on as they are.
  void quoted(Bytes value) {
    put("\"");
    for (size_t i = 0; i < value.size; ++i) {
      const uint8_t c = value.data[i];
      if (c == '"' || c == '\\')
        put("\\");
      if (c < 0x20) {
        static constexpr char digits[] = "0123456789abcdef";
        const char escape[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15], 0};
        put(static_cast<const char *>(escape));
      } else {
        put(Bytes{&c, 1});
      }
    }
    put("\"");
  }

  // Nanoseconds as microseconds with three decimals.
  void microseconds(uint64_t nanoseconds) {
    put(nanoseconds / 1000, ".");
    const uint64_t rest = nanoseconds % 1000;
    put(rest < 100 ? "0" : "", rest < 10 ? "0" : "", rest);
  }

  size_t size() const { return size_; }
  uint8_t &at(size_t index) { return data_[index]; }
  Bytes bytes() const { return {data_, size_}; }

private:
  void one(Bytes part) {
    if (part.size > room_ - size_)
      part.size = room_ - size_;
    __builtin_memcpy(data_ + size_, part.data, part.size);
    size_ += part.size;
  }
  void one(const char *part) { one(text(part)); }
  void one(uint64_t value) {
    uint8_t digits[20];
    size_t count = sizeof digits;
    do
      digits[--count] = static_cast<uint8_t>('0' + value % 10);
    while ((value /= 10) != 0);
    one(Bytes{digits + count, sizeof digits - count});
  }
  void one(int32_t value) {
    if (value < 0)
      one("-");
    one(static_cast<uint64_t>(value < 0 ? -static_cast<int64_t>(value) : value));
  }

  uint8_t *data_;
  size_t room_;
  size_t size_ = 0;
};

} // namespace bnnt
