// Opens, and where that succeeds runs, seeded mutations of valid model files. Built with sanitizers, which end the
// program at the first wrong access; every file and every session lies in memory of exactly its size.
//
//     fuzz COUNT SEED FILE…    prints {"refused": …, "large": …, "ran": …}

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string>
#include <vector>

#include "../../runtime/native/bnnt.h"

using Bytes = std::vector<uint8_t>;

struct Random {
  uint64_t state;
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  }
  size_t below(size_t limit) { return limit == 0 ? 0 : static_cast<size_t>(next() % limit); }
  // Nearer to the front, where a file holds its graph; its functions are behind it.
  size_t place(size_t limit) {
    const size_t a = below(limit), b = below(limit);
    return a < b ? a : b;
  }
};

static const uint64_t numbers[] = {0,   1,        2,          3,          7,          8,          9,    255,
                                   256, 1u << 20, 0x7fffffff, 0x80000000, 1ull << 40, 1ull << 63, ~0ull};
static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

// Changes that ignore what the bytes mean: most of them break the file's structure.
static Bytes scramble(Bytes file, const std::vector<Bytes> &files, Random &random) {
  for (size_t edits = 1 + random.below(4); edits > 0 && !file.empty(); --edits) {
    const size_t at = random.place(file.size());
    switch (random.below(7)) {
    case 0:
      file[at] = static_cast<uint8_t>(random.next());
      break;
    case 1:
      file[at] = edges[random.below(sizeof edges)];
      break;
    case 2:
      file[at] ^= static_cast<uint8_t>(1u << random.below(8));
      break;
    case 3:
      file[at] = static_cast<uint8_t>(file[at] + (random.below(2) == 0 ? 1 : -1));
      break;
    case 4: // one more or one fewer byte
      if (random.below(2) == 0)
        file.erase(file.begin() + static_cast<long>(at));
      else
        file.insert(file.begin() + static_cast<long>(at), edges[random.below(sizeof edges)]);
      break;
    case 5: // truncation
      if (random.below(3) == 0)
        file.resize(random.below(file.size()));
      break;
    default: { // splice
      const Bytes &other = files[random.below(files.size())];
      const size_t from = random.place(other.size()), length = 1 + random.below(64);
      for (size_t i = 0; i < length && at + i < file.size() && from + i < other.size(); ++i)
        file[at + i] = other[from + i];
    }
    }
  }
  return file;
}

struct Field {
  uint64_t tag = 0, value = 0;
  Bytes payload;
  unsigned wire() const { return static_cast<unsigned>(tag & 7); }
};

static bool varint(const Bytes &from, size_t &at, uint64_t &value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && at < from.size(); shift += 7) {
    const uint8_t byte = from[at++];
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

static void append(Bytes &to, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    to.push_back(static_cast<uint8_t>(value | 0x80));
  to.push_back(static_cast<uint8_t>(value));
}

// The fields of a message of varints and payloads; false if it is anything else.
static bool split(const Bytes &message, std::vector<Field> &fields) {
  for (size_t at = 0; at < message.size();) {
    Field field;
    if (!varint(message, at, field.tag) || (field.wire() != 0 && field.wire() != 2) ||
        !varint(message, at, field.value))
      return false;
    if (field.wire() == 2) {
      if (field.value > message.size() - at)
        return false;
      field.payload.assign(message.begin() + static_cast<long>(at),
                           message.begin() + static_cast<long>(at + field.value));
      at += field.value;
    }
    fields.push_back(field);
  }
  return !fields.empty();
}

static Bytes join(const std::vector<Field> &fields) {
  Bytes message;
  for (const Field &field : fields) {
    append(message, field.tag);
    append(message, field.wire() == 2 ? field.payload.size() : field.value);
    message.insert(message.end(), field.payload.begin(), field.payload.end());
  }
  return message;
}

// Changes one field somewhere below `message` and keeps every length around it right, so that the change is met where
// the field is used.
static Bytes edit(const Bytes &message, int depth, Random &random) {
  std::vector<Field> fields;
  if (!split(message, fields))
    return message;
  size_t index = random.below(fields.size());
  for (size_t i = 0; depth == 0 && i < fields.size() && random.below(5) != 0; ++i)
    if (fields[i].tag == (7 << 3 | 2)) // the graph
      index = i;
  Field &field = fields[index];
  std::vector<Field> inner;
  if (field.wire() == 2 && random.below(5) != 0 && split(field.payload, inner)) {
    field.payload = edit(field.payload, depth + 1, random);
    return join(fields);
  }
  switch (random.below(6)) {
  case 0:
    fields.erase(fields.begin() + static_cast<long>(index));
    break;
  case 1: { // once more
    const Field copy = field;
    fields.insert(fields.begin() + static_cast<long>(index), copy);
    break;
  }
  case 2: {
    Field &other = fields[random.below(fields.size())];
    const Field copy = field;
    field = other;
    other = copy;
    break;
  }
  default:
    if (field.wire() == 0)
      field.value = random.below(2) == 0 ? numbers[random.below(sizeof numbers / sizeof *numbers)]
                                         : field.value + random.below(5) - 2;
    else if (field.payload.empty() || random.below(4) == 0)
      field.payload.resize(random.below(2 * field.payload.size() + 2), 1);
    else
      field.payload[random.below(field.payload.size())] ^= static_cast<uint8_t>(1u << random.below(8));
  }
  return join(fields);
}

static Bytes mutate(const std::vector<Bytes> &files, Random &random) {
  const Bytes &file = files[random.below(files.size())];
  if (random.below(3) == 0)
    return scramble(file, files, random);
  Bytes changed = edit(file, 0, random);
  for (size_t more = random.below(3); more > 0; --more)
    changed = edit(changed, 0, random);
  return changed;
}

struct Counts {
  size_t refused = 0, large = 0, ran = 0;
};

static void one(const Bytes &content, const char *kernels, Random &random, Counts &counts) {
  constexpr size_t most = 8u << 20;
  uint8_t *model = static_cast<uint8_t *>(malloc(content.size() + (content.empty() ? 1 : 0)));
  memcpy(model, content.data(), content.size());
  void *memory = nullptr;
  size_t needed = 0;
  bnnt_session *session = nullptr;
  bnnt_error error;
  bnnt_status status = BNNT_MEMORY;
  const bnnt_options options = {sizeof options, BNNT_ABI, 1, kernels, nullptr, nullptr};
  for (int round = 0; status == BNNT_MEMORY && needed <= most; ++round) {
    if (round > 2) {
      fprintf(stderr, "bnnt_open asks for memory again and again\n");
      abort();
    }
    free(memory);
    memory = needed == 0 ? nullptr : malloc(needed);
    status = bnnt_open(model, content.size(), &options, memory, needed, &session, &needed, &error);
  }
  if (status == BNNT_OK) {
    bnnt_info info;
    bnnt_describe(session, &info);
    const size_t bytes =
        static_cast<size_t>(info.height) * static_cast<size_t>(info.width) * static_cast<size_t>(info.channels);
    if (bytes > most) {
      ++counts.large;
    } else {
      uint8_t *image = static_cast<uint8_t *>(malloc(bytes));
      for (size_t i = 0; i < bytes; ++i)
        image[i] = static_cast<uint8_t>(random.next());
      float *logits = static_cast<float *>(malloc(info.outputs * sizeof(float)));
      uint8_t *hidden = static_cast<uint8_t *>(malloc(info.hidden_bytes + 1));
      const bnnt_trace trace{hidden, nullptr, nullptr};
      if (bnnt_run(session, image, 1, logits, &trace) != BNNT_OK)
        abort();
      for (int32_t i = 0; i < info.nodes; ++i) {
        bnnt_node node;
        bnnt_describe_node(session, i, &node);
        if (strlen(node.name) == 0)
          abort();
      }
      free(hidden);
      free(logits);
      free(image);
      ++counts.ran;
    }
  } else if (status == BNNT_MEMORY) {
    ++counts.large;
  } else {
    if (strlen(error.text) == 0 || error.status != status)
      abort();
    ++counts.refused;
  }
  free(memory);
  free(model);
}

static Bytes read(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == nullptr) {
    fprintf(stderr, "cannot read %s\n", path);
    exit(2);
  }
  Bytes bytes;
  for (int c; (c = fgetc(file)) != EOF;)
    bytes.push_back(static_cast<uint8_t>(c));
  fclose(file);
  return bytes;
}

int main(int count, char **arguments) {
  if (count < 4)
    return 2;
  const size_t mutations = strtoull(arguments[1], nullptr, 10);
  Random random{strtoull(arguments[2], nullptr, 10) * 0x9e3779b97f4a7c15u + 1};
  std::vector<Bytes> files;
  for (int i = 3; i < count; ++i)
    files.push_back(read(arguments[i]));
  Counts counts;
  for (const Bytes &file : files)
    one(file, nullptr, random, counts);
  if (counts.ran != files.size()) {
    fprintf(stderr, "a file that was not mutated did not run\n");
    return 2;
  }
  std::vector<const char *> sets; // that this CPU runs
  for (int32_t i = 0; bnnt_kernel_set(i) != nullptr; ++i)
    if (bnnt_kernel_set(i)[0] != 0)
      sets.push_back(bnnt_kernel_set(i));
  for (size_t i = 0; i < mutations; ++i)
    one(mutate(files, random), sets[i % sets.size()], random, counts);
  printf("{\"refused\": %zu, \"large\": %zu, \"ran\": %zu}\n", counts.refused, counts.large, counts.ran);
  return 0;
}
