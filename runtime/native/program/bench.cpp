#include "../host/cycle.hpp"
#include "peaks/peaks.hpp"
#include "tasks.hpp"

namespace bnnt {

namespace {

constexpr size_t most_runs = 1000000;

// The next batch of a round, or noise where there are no images.
struct Feed {
  const uint8_t *data;
  size_t bytes, count;

  Feed(const Model &model, const Npy &images, size_t batch) {
    const bnnt_info &info = model.info;
    bytes = static_cast<size_t>(info.height) * static_cast<size_t>(info.width) * static_cast<size_t>(info.channels);
    data = images.data;
    const size_t given = static_cast<size_t>(images.shape[0]);
    if (given >= batch) {
      bytes *= batch;
      count = given / batch;
      return;
    }
    bytes *= batch;
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

  const uint8_t *images(size_t run) const { return data + run % count * bytes; }
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

// One run's time.
struct Times {
  uint64_t cpu, wall;
};

Times time_run(const Model &model, const Feed &feed, size_t run, size_t batch, float *logits) {
  const uint64_t cpu = cpu_nanoseconds(), wall = bnnt_nanoseconds();
  bnnt_run(model.session, feed.images(run), batch, logits, nullptr);
  const uint64_t wall_after = bnnt_nanoseconds();
  return {cpu_nanoseconds() - cpu, wall_after - wall};
}

// A fixed piece of work, which tells how fast the machine is at the moment, whatever the model: nanoseconds of its
// fastest run of some.
uint64_t yardstick() {
  constexpr size_t words = 2048, some = 100;
  static uint64_t data[words];
  uint64_t least = ~uint64_t{0};
  for (size_t run = 0; run < some; ++run) {
    const uint64_t start = bnnt_nanoseconds();
    uint64_t sums[4] = {};
    for (size_t i = 0; i < words; i += 4)
      for (size_t k = 0; k < 4; ++k)
        sums[k] += static_cast<uint64_t>(__builtin_popcountll(data[i + k] ^ (run + k)));
    asm volatile("" ::"r"(sums[0]), "r"(sums[1]), "r"(sums[2]), "r"(sums[3]) : "memory");
    const uint64_t taken = bnnt_nanoseconds() - start;
    least = taken < least ? taken : least;
  }
  return least;
}

// Runs until ten are no faster than the ten before by more than 2 %, or a second is over: how many it were.
size_t warm_up(const Model &model, const Feed &feed, size_t batch, float *logits) {
  const uint64_t start = bnnt_nanoseconds();
  uint64_t before = ~uint64_t{0};
  size_t runs = 0;
  for (;;) {
    uint64_t least = ~uint64_t{0};
    for (size_t i = 0; i < 10; ++i) {
      const Times times = time_run(model, feed, runs++, batch, logits);
      least = times.wall < least ? times.wall : least;
      if (bnnt_nanoseconds() - start > 1000000000u)
        return runs;
    }
    if (least > before - before / 50)
      return runs;
    before = least;
  }
}

} // namespace

bool bench(const Model &model, const Npy &images, const BenchOptions &options, Text &json, Error &error) {
  const Feed feed(model, images, options.batch);
  float *logits = array<float>(model.info.outputs * options.batch);
  Times *samples = array<Times>(most_runs);
  const size_t warm = warm_up(model, feed, options.batch, logits);
  const uint64_t yardstick_before = yardstick();
  const uint64_t start = bnnt_nanoseconds();
  size_t runs = 0;
  do {
    samples[runs] = time_run(model, feed, runs, options.batch, logits);
    ++runs;
  } while (runs < most_runs && (runs < options.least_runs || bnnt_nanoseconds() - start < options.nanoseconds));
  const uint64_t yardstick_after = yardstick();
  const uint64_t shape[] = {runs, 2};
  if (options.samples != nullptr && !write_npy(options.samples, "<u8", 2, shape, samples, error))
    return false;
  uint64_t *cpu = array<uint64_t>(runs), *wall = array<uint64_t>(runs);
  for (size_t i = 0; i < runs; ++i) {
    cpu[i] = samples[i].cpu;
    wall[i] = samples[i].wall;
  }
  json.put(", \"bench\": {\"batch\": ", uint64_t{options.batch}, ", \"warm_up_runs\": ", uint64_t{warm},
           ", \"runs\": ", uint64_t{runs}, ", \"load_us\": ");
  json.microseconds(options.load_nanoseconds);
  json.put(", \"yardstick_us\": ");
  json.microseconds(yardstick_before < yardstick_after ? yardstick_before : yardstick_after);
  json.put(", \"peak_bytes\": ", peak_bytes());
  spread("cpu_us", cpu, runs, json);
  spread("wall_us", wall, runs, json);
  json.put("}");
  return true;
}

namespace {

constexpr int in_a_row = 16; // so that asking the system for the time does not count

uint64_t time_of(void (*run)()) {
  const uint64_t start = bnnt_nanoseconds();
  for (int i = 0; i < in_a_row; ++i)
    run();
  return bnnt_nanoseconds() - start;
}

// How many cycles some work takes at best; the cycle is measured in turns with it, since a CPU's clock changes.
uint64_t least_cycles(void (*run)()) {
  uint64_t least = ~uint64_t{0}, chain = ~uint64_t{0};
  for (int i = 0; i < 100; ++i) {
    const uint64_t taken = time_of(run), cycles = time_of(wait_for_each_other);
    least = taken < least ? taken : least;
    chain = cycles < chain ? cycles : chain;
  }
  const uint64_t cycles = least * cycle_chain / (chain > 0 ? chain : 1); // both ran as often
  return cycles > 0 ? cycles : 1;
}

// Multiply-accumulates in a thousand cycles that the kernel set's instructions do on registers alone, by method.
void put_peaks(const char *set, Text &json) {
  const Peaks &peaks = peaks_of(set);
  const struct {
    const char *name;
    const Peak &peak;
  } methods[] = {{"bits", peaks.bits}, {"lookup", peaks.lookup}, {"bytes", peaks.bytes}, {"real", peaks.real}};
  json.put(", \"peaks\": {");
  bool first = true;
  for (const auto &method : methods) {
    if (method.peak.run == nullptr)
      continue;
    json.put(first ? "\"" : ", \"", method.name,
             "\": ", static_cast<uint64_t>(method.peak.macs) * 1000 / least_cycles(method.peak.run));
    first = false;
  }
  json.put("}");
}

} // namespace

void profile(const Model &model, const Npy &images, uint64_t nanoseconds, Text &json) {
  const Feed feed(model, images, 1);
  const size_t nodes = static_cast<size_t>(model.info.nodes);
  float *logits = array<float>(model.info.outputs);
  uint64_t *least = array<uint64_t>(nodes), *times = array<uint64_t>(nodes);
  const bnnt_trace trace{nullptr, times, bnnt_nanoseconds};
  const uint64_t start = bnnt_nanoseconds();
  uint64_t chain = ~uint64_t{0}; // its least time
  size_t runs = 0;
  do {
    const uint64_t taken = time_of(wait_for_each_other);
    chain = taken < chain ? taken : chain;
    __builtin_memset(times, 0, nodes * sizeof *times);
    bnnt_run(model.session, feed.images(runs), 1, logits, &trace);
    for (size_t n = 0; n < nodes; ++n)
      least[n] = runs == 0 || times[n] < least[n] ? times[n] : least[n];
    ++runs;
  } while (bnnt_nanoseconds() - start < nanoseconds);
  json.put(", \"profile\": {\"runs\": ", uint64_t{runs},
           ", \"megahertz\": ", uint64_t{cycle_chain} * 1000 * in_a_row / (chain > 0 ? chain : 1));
  put_peaks(model.info.kernels, json);
  json.put(", \"nodes\": [");
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
