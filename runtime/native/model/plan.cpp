#include "plan.hpp"

#include "../kernels/kernels.hpp"
#include "../layer/layer.hpp"

namespace bnnt {

namespace {

constexpr uint64_t slack = 64; // kernels read and write whole blocks

// Whether node `index`, whose predecessor is in the group that begins at `first`, can run row by row with it: it reads
// its predecessor's rows, and what else it reads is there before.
bool joins(const bnnt_session &session, int32_t first, int32_t index) {
  const Node &node = session.nodes[index];
  const Rowwise kind = node.op->rowwise;
  const Value &head = session.values[first + 1], &result = session.values[index + 1];
  bool reads = false;
  for (int32_t i = 0; i < node.op->values; ++i)
    reads |= node.inputs[i] == index;
  return reads && (kind == Rowwise::same || kind == Rowwise::smaller) && head.height == result.height &&
         head.width == result.width;
}

void group_nodes(bnnt_session &session) {
  for (int32_t first = 0, last; first < session.node_count; first = last + 1) {
    last = first;
    while (session.nodes[first].op->rowwise != Rowwise::none && last + 1 < session.node_count &&
           joins(session, first, last + 1))
      ++last;
    for (int32_t node = first; node <= last; ++node)
      session.nodes[node].group_end = last;
  }
}

// The last node while which a value's memory is its own: all that a group reads and yields is alive in all of it, since
// one node's later rows come behind another's earlier ones.
int32_t kept_until(const bnnt_session &session, const Value &value) {
  return value.last_use < session.node_count ? session.nodes[value.last_use].group_end : value.last_use;
}

// Whether the group of `node` begins with another one that reads `value`, whose rows it wants as they were.
bool head_reads(const bnnt_session &session, int32_t node, int32_t value) {
  int32_t head = node;
  while (head > 0 && session.nodes[head - 1].group_end == session.nodes[node].group_end)
    --head;
  const Node &of = session.nodes[head];
  return head != node && (of.inputs[0] == value || of.inputs[1] == value);
}

// The input whose place the result of `node` can take, since nobody reads it again; -1: none.
int32_t replaces(const bnnt_session &session, int32_t node) {
  const Node &of = session.nodes[node];
  for (int32_t i = 0; of.op->rowwise == Rowwise::same && i < of.op->values; ++i) {
    const Value &input = session.values[of.inputs[i]];
    if (of.inputs[i] > 0 && input.last_use == node && input.bytes == session.values[node + 1].bytes &&
        !head_reads(session, node, of.inputs[i]))
      return of.inputs[i];
  }
  return -1;
}

// Bytes of all images that are computed together.
uint64_t room_of(const bnnt_session &session, const Value &value) {
  return round_up(value.bytes * static_cast<uint64_t>(session.images), Arena::alignment) + slack;
}

// Gives every value its place in one buffer: its input's, or the lowest gap between the values that are alive with it.
// The pixels lie in the caller's memory. `alive`: room for one index a value. Returns the buffer's size.
uint64_t place_values(bnnt_session &session, int32_t *alive) {
  uint64_t total = 0;
  int32_t count = 0; // values alive, by offset
  for (int32_t node = 0; node < session.node_count; ++node) {
    Value &value = session.values[node + 1];
    const uint64_t size = room_of(session, value);
    int32_t kept = 0;
    for (int32_t i = 0; i < count; ++i)
      if (kept_until(session, session.values[alive[i]]) >= node)
        alive[kept++] = alive[i];
    count = kept;
    const int32_t replaced = replaces(session, node);
    value.offset = replaced < 0 ? 0 : session.values[replaced].offset;
    int32_t slot = 0;
    for (; slot < count; ++slot) {
      const Value &other = session.values[alive[slot]];
      if (replaced < 0 ? value.offset + size <= other.offset : value.offset <= other.offset)
        break;
      const uint64_t end = other.offset + room_of(session, other);
      if (replaced < 0 && end > value.offset)
        value.offset = end;
    }
    for (int32_t i = count++; i > slot; --i)
      alive[i] = alive[i - 1];
    alive[slot] = node + 1;
    if (value.offset + size > total)
      total = value.offset + size;
  }
  return total;
}

uint64_t flip_bytes(uint64_t channels) { return (channels + 7) / 8 + sizeof(uint64_t); } // read as words

void place_parameters(Node &node, const Value &x, const Kernels &kernels, Arena &arena) {
  node.c_name = arena.take<char>(node.name.size + 1);
  if (node.weights != Weights::none)
    place_layer(node, kernels, arena);
  if (node.tau != nullptr) {
    const uint64_t channels = static_cast<uint64_t>(node.tau->dims[0]);
    node.taus = arena.take<int32_t>(round_up(channels, 16));
    node.flips = arena.take<uint8_t>(flip_bytes(channels));
  }
  if (node.scale != nullptr)
    node.scales = arena.take<float>(static_cast<uint64_t>(x.channels));
  if (node.shift != nullptr)
    node.shifts = arena.take<float>(static_cast<uint64_t>(x.channels));
}

void fill_parameters(Node &node, const Value &x, const Kernels &kernels) {
  __builtin_memcpy(node.c_name, node.name.data, node.name.size);
  node.c_name[node.name.size] = 0;
  if (node.tau != nullptr) {
    const int64_t channels = node.tau->dims[0];
    constexpr int64_t bound = 2 * acc_limit; // beyond every accumulator, and far from overflow
    __builtin_memset(node.flips, 0, static_cast<size_t>(flip_bytes(static_cast<uint64_t>(channels))));
    for (int64_t c = 0; c < static_cast<int64_t>(round_up(static_cast<uint64_t>(channels), 16)); ++c) {
      const int64_t tau = c < channels ? load<int32_t>(node.tau->data.data + 4 * c) : 0;
      node.taus[c] = static_cast<int32_t>(tau < -bound ? -bound : tau > bound ? bound : tau);
      if (c < channels)
        node.flips[c / 8] |= static_cast<uint8_t>(node.flip->data.data[c] << c % 8);
    }
  }
  if (node.weights != Weights::none)
    fill_layer(node, x, kernels);
  for (int64_t c = 0; node.scale != nullptr && c < x.channels; ++c)
    node.scales[c] = node.scale->real(static_cast<size_t>(c));
  for (int64_t c = 0; node.shift != nullptr && c < x.channels; ++c)
    node.shifts[c] = node.shift->real(static_cast<size_t>(c));
}

} // namespace

bool plan(bnnt_session &session, int32_t *alive, Arena &arena) {
  const Kernels &kernels = *session.kernels;
  uint64_t shared = 0, worker = 0;
  session.hidden = 0;
  session.hidden_bytes = 0;
  for (int32_t i = 0; i < session.node_count; ++i) {
    Node &node = session.nodes[i];
    const Value &x = session.values[node.inputs[0]];
    Value &result = session.values[i + 1];
    node.kernel = "portable";
    if (node.weights != Weights::none) {
      node.layer.images = x.rank == 1 ? session.images : 1;
      choose_method(node, x, kernels);
      const LayerScratch scratch = layer_scratch(node, x, result, kernels);
      shared = scratch.shared > shared ? scratch.shared : shared;
      worker = scratch.worker > worker ? scratch.worker : worker;
    }
    place_parameters(node, x, kernels, arena);
    if (result.kind == Kind::bits) {
      result.hidden_offset = session.hidden_bytes;
      session.hidden_bytes += result.bytes;
      ++session.hidden;
    }
  }
  session.values[session.node_count].last_use = session.node_count;
  group_nodes(session);
  session.buffers = arena.take<uint8_t>(place_values(session, alive));
  session.shared_bytes = round_up(shared, Arena::alignment);
  session.shared_scratch = arena.take<uint8_t>(session.shared_bytes * static_cast<uint64_t>(session.images));
  session.worker_bytes = round_up(worker + slack, Arena::alignment);
  session.worker_scratch = arena.take<uint8_t>(session.worker_bytes * static_cast<uint64_t>(session.threads));
  session.memory_bytes = arena.taken();
  if (!arena.fits())
    return false;
  for (int32_t i = 0; i < session.node_count; ++i)
    fill_parameters(session.nodes[i], session.values[session.nodes[i].inputs[0]], kernels);
  return true;
}

} // namespace bnnt
