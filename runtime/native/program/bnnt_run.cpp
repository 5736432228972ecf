// bnnt-run: run, check and time a model on the machine that it is for. One JSON document on stdout.
#include "tasks.hpp"

namespace bnnt {

namespace {

constexpr const char *usage =
    "bnnt-run MODEL.onnx [--describe] [--images images.npy [--logits out.npy] [--digests out.npy]] [--golden FOLDER] "
    "[--bench SECONDS [--runs N] [--batch N] [--samples out.npy]] [--profile] [--kernels NAME] [--threads N] [--cpu N]";

constexpr size_t together = 8; // images, where they are not timed

enum : int { fine = 0, mismatch = 1, wrong = 2 };

struct Arguments {
  const char *model = nullptr, *images = nullptr, *logits = nullptr, *digests = nullptr, *golden = nullptr;
  const char *kernels = nullptr, *seconds = nullptr, *runs = nullptr, *batch = nullptr, *cpu = nullptr;
  const char *threads = nullptr;
  uint64_t thread_count = 1;
  bool describe = false, profile = false;
  BenchOptions bench;
};

bool same(const char *a, const char *b) { return text(a) == b; }

// Decimal seconds, at most an hour.
bool parse_seconds(const char *from, uint64_t &nanoseconds) {
  uint64_t value = 0, scale = 1000000000;
  bool point = false, digits = false;
  for (; *from != 0; ++from) {
    if (*from == '.' && !point) {
      point = true;
    } else if (*from >= '0' && *from <= '9' && (!point || scale >= 10)) {
      digits = true;
      value = 10 * value + static_cast<uint64_t>(*from - '0');
      scale /= point ? 10 : 1;
    } else {
      return false;
    }
    if (value > uint64_t{3600} * 1000000000)
      return false;
  }
  if (value > 0 && scale > uint64_t{3600} * 1000000000 / value)
    return false;
  nanoseconds = value * scale;
  return digits;
}

// A whole number from `least` to `most`, or what `value` is where there is none.
bool parse_count(const char *option, const char *from, uint64_t least, uint64_t most, uint64_t &value, Error &error) {
  if (from == nullptr)
    return true;
  value = 0;
  const char *digit = from;
  for (; *digit >= '0' && *digit <= '9' && value <= most; ++digit)
    value = 10 * value + static_cast<uint64_t>(*digit - '0');
  if (digit == from || *digit != 0 || value < least || value > most)
    return error.fail(BNNT_USAGE, option, " wants a number from ", least, " to ", most, ", not '", text(from), "'");
  return true;
}

bool parse(int count, char **from, Arguments &arguments, Error &error) {
  const struct {
    const char *name;
    const char **value;
  } valued[] = {
      {"--images", &arguments.images}, {"--logits", &arguments.logits},  {"--digests", &arguments.digests},
      {"--golden", &arguments.golden}, {"--bench", &arguments.seconds},  {"--kernels", &arguments.kernels},
      {"--runs", &arguments.runs},     {"--batch", &arguments.batch},    {"--samples", &arguments.bench.samples},
      {"--cpu", &arguments.cpu},       {"--threads", &arguments.threads}};
  for (int i = 1; i < count; ++i) {
    bool taken = false;
    for (const auto &option : valued) {
      if (!same(from[i], option.name))
        continue;
      if (i + 1 == count)
        return error.fail(BNNT_USAGE, option.name, " wants a value");
      *option.value = from[++i];
      taken = true;
      break;
    }
    if (taken)
      continue;
    if (same(from[i], "--describe"))
      arguments.describe = true;
    else if (same(from[i], "--profile"))
      arguments.profile = true;
    else if (from[i][0] == '-' || arguments.model != nullptr)
      return error.fail(BNNT_USAGE, "unknown argument '", text(from[i]), "'");
    else
      arguments.model = from[i];
  }
  if (arguments.model == nullptr)
    return error.fail(BNNT_USAGE, usage);
  if (arguments.images == nullptr && (arguments.logits != nullptr || arguments.digests != nullptr))
    return error.fail(BNNT_USAGE, "--logits and --digests go with --images");
  BenchOptions &bench = arguments.bench;
  bench.nanoseconds = 200000000; // of a profile without --bench
  if (arguments.seconds != nullptr && !parse_seconds(arguments.seconds, bench.nanoseconds))
    return error.fail(BNNT_USAGE, "--bench wants seconds, at most 3600, not '", text(arguments.seconds), "'");
  if (arguments.seconds == nullptr &&
      (arguments.runs != nullptr || arguments.batch != nullptr || bench.samples != nullptr))
    return error.fail(BNNT_USAGE, "--runs, --batch and --samples go with --bench");
  uint64_t core = 0;
  if (!parse_count("--runs", arguments.runs, 1, 1000000, bench.least_runs, error) ||
      !parse_count("--batch", arguments.batch, 1, 4096, bench.batch, error) ||
      !parse_count("--threads", arguments.threads, 1, most_threads, arguments.thread_count, error) ||
      !parse_count("--cpu", arguments.cpu, 0, 4095, core, error))
    return false;
  if (arguments.cpu != nullptr && arguments.thread_count > 1)
    return error.fail(BNNT_USAGE, "--cpu is one core: it goes with one thread");
  if (arguments.cpu != nullptr && !pin(core))
    return error.fail(BNNT_USAGE, "--cpu ", core, ": this process may not run on that core");
  return true;
}

// A pool of threads, which live as long as the program.
bool start_threads(uint64_t threads, bnnt_options &options, Error &error) {
  bnnt_pool *pool = nullptr;
  size_t needed = 0;
  const int32_t count = static_cast<int32_t>(threads);
  bnnt_status status = bnnt_pool_open(count, 0, nullptr, 0, &pool, &needed);
  if (status == BNNT_MEMORY)
    status = bnnt_pool_open(count, 0, pages(needed), needed, &pool, &needed);
  if (status != BNNT_OK)
    return error.fail(status, "cannot start ", threads, " threads");
  options.threads = bnnt_pool_threads(pool);
  options.parallel_for = bnnt_pool_for;
  options.context = pool;
  return true;
}

bool open(const char *path, Bytes file, const Arguments &arguments, Model &model, Error &error) {
  void *memory = nullptr;
  size_t needed = 0;
  bnnt_error failure;
  bnnt_status status = BNNT_MEMORY;
  const bool timed = arguments.seconds != nullptr || arguments.profile;
  const size_t images = timed ? arguments.bench.batch : together;
  bnnt_options options = {
      sizeof options, BNNT_ABI, 1, arguments.kernels, nullptr, nullptr, static_cast<int32_t>(images)};
  if (arguments.thread_count > 1 && !start_threads(arguments.thread_count, options, error))
    return false;
  model.threads = options.threads;
  while (status == BNNT_MEMORY) {
    memory = needed == 0 ? nullptr : pages(needed);
    status = bnnt_open(file.data, file.size, &options, memory, needed, &model.session, &needed, &failure);
  }
  if (status != BNNT_OK)
    return error.fail(status, text(path), ": ", static_cast<const char *>(failure.text));
  bnnt_describe(model.session, &model.info);
  return true;
}

bool run(const Arguments &arguments, const Model &model, Text &json, bool &equal, Error &error) {
  Npy images;
  if (arguments.images != nullptr && !read_images(model, arguments.images, images, error))
    return false;
  if (arguments.describe)
    describe(model, json);
  if (arguments.images != nullptr && !run_images(model, images, arguments.logits, arguments.digests, json, error))
    return false;
  if (arguments.golden != nullptr && !check_golden(model, arguments.golden, json, equal, error))
    return false;
  if (arguments.seconds != nullptr && !bench(model, images, arguments.bench, json, error))
    return false;
  if (arguments.profile)
    profile(model, images, arguments.bench.nanoseconds, json);
  return true;
}

// The message twice: in the JSON document for programs, on stderr for people.
int refuse(const bnnt_error &failure) {
  Text line(4096), json(4096);
  line.put("bnnt-run: ", static_cast<const char *>(failure.text), "\n");
  print_error(line.bytes());
  json.put("{\"error\": ");
  json.quoted(text(failure.text));
  json.put("}\n");
  print(json.bytes());
  return wrong;
}

} // namespace

void describe(const Model &model, Text &json) {
  static constexpr const char *kinds[] = {"pixels", "bits", "acc", "real"};
  const bnnt_info &info = model.info;
  json.put(", \"memory_bytes\": ", uint64_t{info.memory_bytes}, ", \"input\": ");
  json.quoted({reinterpret_cast<const uint8_t *>(info.input), info.input_bytes}); // text: a reader parses it again
  json.put(", \"outputs\": ", uint64_t{info.outputs}, ", \"nodes\": [");
  for (int32_t n = 0; n < info.nodes; ++n) {
    bnnt_node node;
    bnnt_describe_node(model.session, n, &node);
    json.put(n == 0 ? "{\"name\": " : ", {\"name\": ");
    json.quoted(text(node.name));
    json.put(", \"op\": \"", node.op, "\", \"kernel\": \"", node.kernel, "\", \"kind\": \"", kinds[node.kind],
             "\", \"shape\": [", node.shape[0]);
    for (int32_t i = 1; i < node.rank; ++i)
      json.put(", ", node.shape[i]);
    json.put("], \"bytes\": ", uint64_t{node.bytes}, "}");
  }
  json.put("]");
}

int program(int count, char **from) {
  bnnt_error failure;
  Error error(&failure);
  Arguments arguments;
  Bytes file;
  Model model;
  if (!parse(count, from, arguments, error))
    return refuse(failure);
  const uint64_t start = bnnt_nanoseconds();
  if (!read_whole_file(arguments.model, file, error) || !open(arguments.model, file, arguments, model, error))
    return refuse(failure);
  arguments.bench.load_nanoseconds = bnnt_nanoseconds() - start;
  Text json((size_t{1} << 22) + 32 * file.size);
  json.put("{\"version\": \"", bnnt_version(), "\", \"kernels\": \"", model.info.kernels,
           "\", \"threads\": ", model.threads);
  bool equal = true;
  if (!run(arguments, model, json, equal, error))
    return refuse(failure);
  json.put("}\n");
  print(json.bytes());
  return equal ? fine : mismatch;
}

} // namespace bnnt
