#include "npy.hpp"

#include "json.hpp"

namespace bnnt {

namespace {

uint64_t size_of(const char *type) { return static_cast<uint64_t>(type[2] - '0'); }

// The text of a header, read from left to right.
struct Cursor {
  Bytes rest;

  void spaces() {
    while (rest.size > 0 && (*rest.data == ' ' || *rest.data == '\n'))
      skip(1);
  }
  void skip(size_t count) { rest = {rest.data + count, rest.size - count}; }
  bool word(const char *literal) {
    spaces();
    const size_t size = __builtin_strlen(literal);
    if (rest.size < size || !(Bytes{rest.data, size} == literal))
      return false;
    skip(size);
    return true;
  }
  bool number(uint64_t &value) {
    spaces();
    value = 0;
    size_t digits = 0;
    for (; rest.size > 0 && *rest.data >= '0' && *rest.data <= '9'; ++digits) {
      if (value > (uint64_t{1} << 40))
        return false;
      value = 10 * value + (*rest.data - '0');
      skip(1);
    }
    return digits > 0;
  }
};

bool read_header(Bytes header, const char *type, int32_t rank, Npy &array) {
  Cursor cursor{header};
  if (!cursor.word("{") || !cursor.word("'descr':") || !cursor.word("'") || !cursor.word(type) || !cursor.word("',") ||
      !cursor.word("'fortran_order':") || !cursor.word("False,") || !cursor.word("'shape':") || !cursor.word("("))
    return false;
  while (!cursor.word(")")) {
    if (array.rank == Npy::most || !cursor.number(array.shape[array.rank]))
      return false;
    ++array.rank;
    cursor.word(",");
  }
  cursor.word(",");
  if (!cursor.word("}"))
    return false;
  cursor.spaces();
  return cursor.rest.size == 0 && array.rank == rank;
}

} // namespace

bool read_npy(const char *path, const char *type, int32_t rank, Npy &array, Error &error) {
  Bytes file;
  if (!read_whole_file(path, file, error))
    return false;
  const bool magic = file.size >= 12 && Bytes{file.data, 6} == "\x93NUMPY" && file.data[7] == 0;
  const bool first = magic && file.data[6] == 1, second = magic && file.data[6] == 2;
  if (!first && !second)
    return error.fail(BNNT_FORMAT, text(path), ": not a .npy file of version 1 or 2, or a truncated one");
  const uint64_t start = first ? 10 : 12;
  const uint64_t length = first ? load<uint16_t>(file.data + 8) : load<uint32_t>(file.data + 8);
  if (length > file.size - start)
    return error.fail(BNNT_FORMAT, text(path), ": a truncated .npy file");
  if (!read_header({file.data + start, static_cast<size_t>(length)}, type, rank, array))
    return error.fail(BNNT_FORMAT, text(path), ": not a C-ordered array of type ", type, " and rank ", rank);
  const uint64_t have = file.size - start - length;
  uint64_t want = size_of(type);
  for (int32_t i = 0; i < rank; ++i) {
    if (array.shape[i] > 0 && want > (uint64_t{1} << 62) / array.shape[i])
      return error.fail(BNNT_FORMAT, text(path), ": an absurdly large array");
    want *= array.shape[i];
  }
  if (have != want)
    return error.fail(BNNT_FORMAT, text(path), ": its shape wants ", want, " bytes, it holds ", have);
  array.data = file.data + start + length;
  return true;
}

bool write_npy(const char *path, const char *type, int32_t rank, const uint64_t *shape, const void *data,
               Error &error) {
  Text header(1024);
  header.put("\x93NUMPY\x01");
  header.put(Bytes{reinterpret_cast<const uint8_t *>("\0\0\0"), 3}); // minor version, then the length
  header.put("{'descr': '", type, "', 'fortran_order': False, 'shape': (");
  uint64_t bytes = size_of(type);
  for (int32_t i = 0; i < rank; ++i) {
    header.put(shape[i], rank == 1 || i + 1 < rank ? ", " : "");
    bytes *= shape[i];
  }
  header.put("), }");
  while (header.size() % 64 != 63)
    header.put(" ");
  header.put("\n");
  const size_t length = header.size() - 10;
  header.at(8) = static_cast<uint8_t>(length & 0xff);
  header.at(9) = static_cast<uint8_t>(length >> 8);
  return write_whole_file(path, header.bytes(), {static_cast<const uint8_t *>(data), static_cast<size_t>(bytes)},
                          error);
}

} // namespace bnnt
