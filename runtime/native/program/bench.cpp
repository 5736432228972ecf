#include "tasks.hpp"

namespace bnnt {

namespace {

constexpr size_t most_runs = 1000000;

// The next image of a round, or noise where there are none.
struct Feed {
  const uint8_t *data;
  size_t bytes, count;

  Feed(const Model &model, const Npy &images) {
    const bnnt_info &info = model.info;
    bytes = static_cast<size_t>(info.height) * static_cast<size_t>(info.width) * static_cast<size_t>(info.channels);
    data = images.data;
    count = static_cast<size_t>(images.shape[0]);
    if (count > 0)
      return;
    uint8_t *noise = array<uint8_t>(bytes);
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < bytes; ++i) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      noise[i] = static_cast<uint8_t>(state >> 32);
    }
    data = noise;
    count = 1;
  }

  const uint8_t *image(size_t run) const { return data + run % count * bytes; }
};

void sink(uint64_t *values, size_t root, size_t count) {
  for (size_t child = 2 * root + 1; child < count; root = child, child = 2 * root + 1) {
    if (child + 1 < count && values[child + 1] > values[child])
      ++child;
    if (values[root] >= values[child])
      return;
    const uint64_t value = values[root];
    values[root] = values[child];
    values[child] = value;
  }
}

// Heapsort.
void sort(uint64_t *values, size_t count) {
  for (size_t root = count / 2; root-- > 0;)
    sink(values, root, count);
  for (size_t end = count; end-- > 1;) {
    const uint64_t value = values[0];
    values[0] = values[end];
    values[end] = value;
    sink(values, 0, end);
  }
}

void spread(const char *name, uint64_t *values, size_t count, Text &json) {
  sort(values, count);
  json.put(", \"", name, "\": {\"min\": ");
  json.microseconds(values[0]);
  json.put(", \"median\": ");
  json.microseconds(count % 2 != 0 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2);
  json.put("}");
}

} // namespace

void bench(const Model &model, const Npy &images, uint64_t nanoseconds, Text &json) {
  const Feed feed(model, images);
  float *logits = array<float>(model.info.outputs);
  uint64_t *cpu = array<uint64_t>(most_runs), *wall = array<uint64_t>(most_runs);
  bnnt_run(model.session, feed.image(0), 1, logits, nullptr); // warms the caches
  const uint64_t start = bnnt_nanoseconds();
  size_t runs = 0;
  do {
    const uint64_t cpu_before = cpu_nanoseconds(), before = bnnt_nanoseconds();
    bnnt_run(model.session, feed.image(runs), 1, logits, nullptr);
    wall[runs] = bnnt_nanoseconds() - before;
    cpu[runs++] = cpu_nanoseconds() - cpu_before;
  } while (runs < most_runs && bnnt_nanoseconds() - start < nanoseconds);
  json.put(", \"bench\": {\"batch\": 1, \"runs\": ", uint64_t{runs});
  spread("cpu_us", cpu, runs, json);
  spread("wall_us", wall, runs, json);
  json.put("}");
}

void profile(const Model &model, const Npy &images, uint64_t nanoseconds, Text &json) {
  const Feed feed(model, images);
  const size_t nodes = static_cast<size_t>(model.info.nodes);
  float *logits = array<float>(model.info.outputs);
  uint64_t *least = array<uint64_t>(nodes), *times = array<uint64_t>(nodes);
  const bnnt_trace trace{nullptr, times, bnnt_nanoseconds};
  const uint64_t start = bnnt_nanoseconds();
  size_t runs = 0;
  do {
    __builtin_memset(times, 0, nodes * sizeof *times);
    bnnt_run(model.session, feed.image(runs), 1, logits, &trace);
    for (size_t n = 0; n < nodes; ++n)
      least[n] = runs == 0 || times[n] < least[n] ? times[n] : least[n];
    ++runs;
  } while (bnnt_nanoseconds() - start < nanoseconds);
  json.put(", \"profile\": {\"runs\": ", uint64_t{runs}, ", \"nodes\": [");
  for (size_t n = 0; n < nodes; ++n) {
    bnnt_node node;
    bnnt_describe_node(model.session, static_cast<int32_t>(n), &node);
    json.put(n == 0 ? "{\"name\": " : ", {\"name\": ");
    json.quoted(text(node.name));
    json.put(", \"op\": \"", node.op, "\", \"kernel\": \"", node.kernel, "\", \"wall_us\": ");
    json.microseconds(least[n]);
    json.put("}");
  }
  json.put("]}");
}

} // namespace bnnt
