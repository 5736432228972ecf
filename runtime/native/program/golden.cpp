#include "tasks.hpp"

namespace bnnt {

namespace {

// FNV-1a, 64 bits.
uint64_t digest(Bytes bytes) {
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < bytes.size; ++i)
    hash = (hash ^ bytes.data[i]) * 1099511628211u;
  return hash;
}

// Runs one image at a time: logits [N, outputs], digests [N, hidden].
struct Results {
  float *logits;
  uint64_t *digests;
};

Results run(const Model &model, const Npy &images) {
  const bnnt_info &info = model.info;
  const size_t count = static_cast<size_t>(images.shape[0]), layers = static_cast<size_t>(info.hidden);
  const Results results{array<float>(count * info.outputs), array<uint64_t>(count * layers)};
  uint8_t *hidden = array<uint8_t>(info.hidden_bytes);
  const size_t image_bytes = static_cast<size_t>(images.shape[1] * images.shape[2] * images.shape[3]);
  const bnnt_trace trace{hidden, nullptr, nullptr};
  for (size_t i = 0; i < count; ++i) {
    bnnt_run(model.session, images.data + i * image_bytes, 1, results.logits + i * info.outputs, &trace);
    uint64_t *to = results.digests + i * layers;
    for (int32_t n = 0; n < info.nodes; ++n) {
      bnnt_node node;
      bnnt_describe_node(model.session, n, &node);
      if (node.kind == BNNT_BITS)
        *to++ = digest({hidden + node.hidden_offset, node.bytes});
    }
  }
  return results;
}

// [N, F] or [N, C, H, W].
int32_t output_shape(const bnnt_info &info, uint64_t count, uint64_t *shape) {
  shape[0] = count;
  for (int32_t i = 0; i < info.output_rank; ++i)
    shape[i + 1] = static_cast<uint64_t>(info.output_shape[i]);
  return info.output_rank + 1;
}

bool same_shape(const Npy &array, int32_t rank, const uint64_t *shape) {
  for (int32_t i = 0; i < rank; ++i)
    if (array.shape[i] != shape[i])
      return false;
  return array.rank == rank;
}

struct Path {
  char *text;
  Path(const char *folder, const char *name) {
    const size_t a = __builtin_strlen(folder), b = __builtin_strlen(name);
    text = array<char>(a + b + 2);
    __builtin_memcpy(text, folder, a);
    text[a] = '/';
    __builtin_memcpy(text + a + 1, name, b);
  }
};

} // namespace

bool read_images(const Model &model, const char *path, Npy &images, Error &error) {
  const bnnt_info &info = model.info;
  if (!read_npy(path, "|u1", 4, images, error))
    return false;
  const uint64_t shape[] = {images.shape[0], static_cast<uint64_t>(info.height), static_cast<uint64_t>(info.width),
                            static_cast<uint64_t>(info.channels)};
  if (same_shape(images, 4, shape))
    return true;
  return error.fail(BNNT_USAGE, text(path), ": images are [", images.shape[1], ", ", images.shape[2], ", ",
                    images.shape[3], "], the model takes [", info.height, ", ", info.width, ", ", info.channels, "]");
}

bool run_images(const Model &model, const Npy &images, const char *logits, const char *digests, Text &json,
                Error &error) {
  const Results results = run(model, images);
  uint64_t shape[Npy::most];
  const int32_t rank = output_shape(model.info, images.shape[0], shape);
  if (logits != nullptr && !write_npy(logits, "<f4", rank, shape, results.logits, error))
    return false;
  const uint64_t layers[] = {images.shape[0], static_cast<uint64_t>(model.info.hidden)};
  if (digests != nullptr && !write_npy(digests, "<u8", 2, layers, results.digests, error))
    return false;
  json.put(", \"images\": ", images.shape[0]);
  return true;
}

bool check_golden(const Model &model, const char *folder, Text &json, bool &equal, Error &error) {
  const bnnt_info &info = model.info;
  const Path images_path(folder, "images.npy"), logits_path(folder, "logits.npy"), digests_path(folder, "digests.npy");
  Npy images, logits, digests;
  if (!read_images(model, images_path.text, images, error))
    return false;
  uint64_t shape[Npy::most];
  const int32_t rank = output_shape(info, images.shape[0], shape);
  const size_t count = static_cast<size_t>(images.shape[0]), layers = static_cast<size_t>(info.hidden);
  const uint64_t digests_shape[] = {count, layers};
  if (!read_npy(logits_path.text, "<f4", rank, logits, error) || !read_npy(digests_path.text, "<u8", 2, digests, error))
    return false;
  if (!same_shape(logits, rank, shape) || !same_shape(digests, 2, digests_shape))
    return error.fail(BNNT_USAGE, text(folder), ": logits.npy or digests.npy belong to other images or another model");
  const Results results = run(model, images);
  size_t logits_equal = 0, hidden_equal = 0;
  size_t *mismatches = array<size_t>(layers);
  for (size_t i = 0; i < count; ++i) {
    const size_t row = info.outputs * sizeof(float);
    logits_equal += __builtin_memcmp(results.logits + i * info.outputs, logits.data + i * row, row) == 0;
    bool all = true;
    for (size_t layer = 0; layer < layers; ++layer) {
      const bool same = results.digests[i * layers + layer] == load<uint64_t>(digests.data + 8 * (i * layers + layer));
      mismatches[layer] += !same;
      all = all && same;
    }
    hidden_equal += all;
  }
  equal = logits_equal == count && hidden_equal == count;
  json.put(", \"golden\": {\"images\": ", uint64_t{count}, ", \"logits_equal\": ", uint64_t{logits_equal},
           ", \"hidden_equal\": ", uint64_t{hidden_equal}, ", \"layers\": [");
  size_t layer = 0;
  for (int32_t n = 0; n < info.nodes; ++n) {
    bnnt_node node;
    bnnt_describe_node(model.session, n, &node);
    if (node.kind != BNNT_BITS)
      continue;
    json.put(layer == 0 ? "{\"name\": " : ", {\"name\": ");
    json.quoted(text(node.name));
    json.put(", \"mismatches\": ", uint64_t{mismatches[layer++]}, "}");
  }
  json.put("]}");
  return true;
}

} // namespace bnnt
