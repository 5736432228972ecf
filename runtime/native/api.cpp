// The C API: open, describe, run.
#include "kernels/kernels.hpp"
#include "model/operators.hpp"
#include "model/plan.hpp"
#include "model/run.hpp"

namespace bnnt {

namespace {

const Kernels *choose_kernels(const char *name, Error &error) {
  for (int32_t i = 0; i < kernel_set_count; ++i) {
    const Kernels &set = kernel_sets[i];
    if (name == nullptr ? set.runs_here() && set.suits() : text(set.name) == name) {
      if (set.runs_here())
        return &set;
      error.fail(BNNT_USAGE, "this CPU does not run the kernel set '", name, "'");
      return nullptr;
    }
  }
  error.fail(BNNT_USAGE, "there is no kernel set '", name, "'");
  return nullptr;
}

bool same_output(const File &file, const Value &value) {
  const int64_t *shape = file.output_shape;
  if (!(file.output_name == value.name) || value.kind != Kind::real || file.output_rank != value.rank)
    return false;
  if (value.rank == 1)
    return shape[0] == value.channels;
  return shape[0] == value.channels && shape[1] == value.height && shape[2] == value.width;
}

bool read_model(const File &file, bnnt_session &session, Error &error) {
  if (!read_tensors(file, session.tensors, error))
    return false;
  Value &input = session.values[0] = Value{};
  input.name = text("pixels");
  input.rank = 3;
  input.height = file.input_shape[0];
  input.width = file.input_shape[1];
  input.channels = file.input_shape[2];
  if (!few_elements(input.height, input.width, input.channels))
    return error.fail(BNNT_UNSUPPORTED, "images of ", input.height, "x", input.width, "x", input.channels,
                      ", the limit is ", most_elements, " elements: give smaller images");
  input.bytes = static_cast<uint64_t>(input.elements());
  int32_t index = 0;
  FileNode node;
  if (!for_each_node(file, [&](Bytes body) {
        return read_node(body, node, error) && read_operator(file, node, session, index++, error);
      }))
    return false;
  int64_t elements = 0;
  for (int32_t i = 0; i <= session.node_count; ++i)
    elements += session.values[i].elements();
  if (elements > most_all_elements)
    return error.fail(BNNT_UNSUPPORTED, "the values of one image have ", elements, " elements, the limit is ",
                      most_all_elements, ": give smaller images");
  for (int32_t i = 0; i < session.tensor_count; ++i)
    if (!session.tensors[i].used)
      return error.fail(BNNT_FORMAT, "no node uses the tensor '", session.tensors[i].name, "'");
  if (!same_output(file, session.output()))
    return error.fail(BNNT_FORMAT, "the output '", file.output_name, "' is not the last node's real value");
  return true;
}

// The caller's options with defaults for the members that its struct_size leaves out.
bool read_options(const bnnt_options *given, bnnt_options &options, Error &error) {
  constexpr size_t least = offsetof(bnnt_options, kernels), most = 4096; // beyond which struct_size was never set
  options = {sizeof options, BNNT_ABI, 1, nullptr, nullptr, nullptr, 1};
  if (given == nullptr)
    return true;
  if (given->struct_size < least || given->struct_size > most)
    return error.fail(BNNT_USAGE, "bnnt_open: options.struct_size is ", uint64_t{given->struct_size},
                      ": write sizeof(bnnt_options)");
  if (given->abi != BNNT_ABI)
    return error.fail(BNNT_USAGE, "the program was compiled for ABI ", given->abi, " of bnnt, the library has ",
                      int32_t{BNNT_ABI}, ": compile it with this library's bnnt.h");
  const uint8_t *bytes = reinterpret_cast<const uint8_t *>(given);
  for (size_t i = sizeof options; i < given->struct_size; ++i)
    if (bytes[i] != 0)
      return error.fail(BNNT_USAGE, "bnnt_open: an option at byte ", uint64_t{i}, " that this library does not know");
  __builtin_memcpy(&options, given, given->struct_size < sizeof options ? given->struct_size : sizeof options);
  options.threads = options.threads == 0 ? 1 : options.threads;
  if (options.threads < 1 || options.threads > most_threads)
    return error.fail(BNNT_USAGE, "bnnt_open: ", options.threads, " threads, from 1 to ", most_threads,
                      " are possible");
  options.images = options.images == 0 ? 1 : options.images;
  if (options.images < 1 || options.images > most_images)
    return error.fail(BNNT_USAGE, "bnnt_open: ", options.images, " images together, from 1 to ", most_images,
                      " are possible");
  return options.threads == 1 || options.parallel_for != nullptr ||
         error.fail(BNNT_USAGE, "bnnt_open: ", options.threads, " threads without parallel_for, which runs them");
}

bnnt_status open(Bytes model, const bnnt_options *given, Arena &arena, bnnt_session *&session, Error &error) {
  bnnt_options options;
  if (!read_options(given, options, error))
    return error.status();
  const Kernels *kernels = choose_kernels(options.kernels, error);
  File file;
  if (kernels == nullptr || !read_file(model, file, error))
    return error.status();
  session = arena.take<bnnt_session>(1);
  Node *nodes = arena.take<Node>(static_cast<uint64_t>(file.nodes));
  Value *values = arena.take<Value>(static_cast<uint64_t>(file.nodes) + 1);
  Tensor *tensors = arena.take<Tensor>(static_cast<uint64_t>(file.tensors));
  int32_t *alive = arena.take<int32_t>(static_cast<uint64_t>(file.nodes) + 1);
  if (!arena.fits())
    return BNNT_MEMORY;
  *session = bnnt_session{};
  session->nodes = nodes;
  session->values = values;
  session->tensors = tensors;
  session->node_count = file.nodes;
  session->tensor_count = file.tensors;
  session->kernels = kernels;
  session->threads = options.threads;
  session->images = options.images;
  session->parallel_for = options.parallel_for;
  session->context = options.context;
  session->input_json = file.input_json;
  if (!read_model(file, *session, error))
    return error.status();
  return plan(*session, alive, arena) ? BNNT_OK : BNNT_MEMORY;
}

// NHWC becomes NCHW, as the file says.
void write_output(const Value &value, const float *from, float *to) {
  for (int64_t c = 0; c < value.channels; ++c)
    for (int64_t p = 0; p < value.pixels(); ++p)
      *to++ = from[p * value.channels + c];
}

} // namespace

} // namespace bnnt

using namespace bnnt;

bnnt_status bnnt_open(const void *model, size_t model_bytes, const bnnt_options *options, void *memory,
                      size_t memory_bytes, bnnt_session **session, size_t *needed, bnnt_error *error) {
  Error failure(error);
  if (model == nullptr || session == nullptr || needed == nullptr) {
    failure.fail(BNNT_USAGE, "bnnt_open: model, session and needed must not be NULL");
    return BNNT_USAGE;
  }
  *session = nullptr;
  Arena arena(memory, memory_bytes);
  bnnt_session *opened = nullptr;
  const bnnt_status status = open({static_cast<const uint8_t *>(model), model_bytes}, options, arena, opened, failure);
  if (status == BNNT_OK)
    *session = opened;
  if (status != BNNT_MEMORY)
    return status;
  const uint64_t bytes = arena.needed();
  if (bytes > SIZE_MAX / 2 || bytes >= Arena::limit) {
    failure.fail(BNNT_UNSUPPORTED, "the model needs ", bytes, " bytes of memory: more than this machine can address");
    return BNNT_UNSUPPORTED;
  }
  *needed = static_cast<size_t>(bytes);
  failure.fail(BNNT_MEMORY, "the model needs ", bytes, " bytes of memory, not ", static_cast<uint64_t>(memory_bytes));
  return BNNT_MEMORY;
}

void bnnt_describe(const bnnt_session *session, bnnt_info *info) {
  const Value &input = session->values[0], &output = session->output();
  *info = bnnt_info{};
  info->height = static_cast<int32_t>(input.height);
  info->width = static_cast<int32_t>(input.width);
  info->channels = static_cast<int32_t>(input.channels);
  info->output_rank = output.rank;
  info->output_shape[0] = static_cast<int32_t>(output.channels);
  info->output_shape[1] = static_cast<int32_t>(output.height);
  info->output_shape[2] = static_cast<int32_t>(output.width);
  info->nodes = session->node_count;
  info->hidden = session->hidden;
  info->outputs = static_cast<size_t>(output.elements());
  info->hidden_bytes = static_cast<size_t>(session->hidden_bytes);
  info->memory_bytes = static_cast<size_t>(session->memory_bytes);
  info->kernels = session->kernels->name;
  info->input = reinterpret_cast<const char *>(session->input_json.data);
  info->input_bytes = session->input_json.size;
}

bnnt_status bnnt_describe_node(const bnnt_session *session, int32_t index, bnnt_node *node) {
  if (index < 0 || index >= session->node_count)
    return BNNT_USAGE;
  const Node &from = session->nodes[index];
  const Value &value = session->values[index + 1];
  *node = bnnt_node{};
  node->name = from.c_name;
  node->op = from.op->name;
  node->kernel = from.kernel;
  node->kind = static_cast<int32_t>(value.kind);
  node->rank = value.rank;
  node->shape[0] = static_cast<int32_t>(value.rank == 1 ? value.channels : value.height);
  node->shape[1] = static_cast<int32_t>(value.width);
  node->shape[2] = static_cast<int32_t>(value.rank == 1 ? 1 : value.channels);
  node->bytes = static_cast<size_t>(value.bytes);
  node->hidden_offset = static_cast<size_t>(value.hidden_offset);
  return BNNT_OK;
}

bnnt_status bnnt_run(bnnt_session *session, const uint8_t *images, size_t count, float *logits,
                     const bnnt_trace *trace) {
  static constexpr bnnt_trace none{};
  const bnnt_trace &report = trace == nullptr ? none : *trace;
  if (session == nullptr || (count > 0 && (images == nullptr || logits == nullptr)) ||
      (report.nanoseconds != nullptr && report.clock == nullptr))
    return BNNT_USAGE;
  const Value &output = session->output();
  for (size_t first = 0, together; first < count; first += together) {
    together =
        count - first < static_cast<size_t>(session->images) ? count - first : static_cast<size_t>(session->images);
    run_images(*session, images + first * session->values[0].bytes, first, together, report);
    for (size_t image = 0; image < together; ++image, logits += output.elements())
      write_output(output, reinterpret_cast<const float *>(session->buffer(session->node_count) + image * output.bytes),
                   logits);
  }
  return BNNT_OK;
}

const char *bnnt_kernel_set(int32_t index) {
  if (index < 0 || index >= kernel_set_count)
    return nullptr;
  return kernel_sets[index].runs_here() ? kernel_sets[index].name : "";
}

const char *bnnt_version(void) { return "0.1.0"; }

int32_t bnnt_abi(void) { return BNNT_ABI; }
