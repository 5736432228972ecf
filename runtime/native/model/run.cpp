#include "run.hpp"

namespace bnnt {

namespace {

constexpr int64_t band_bytes = 128 * 1024; // of the rows that nodes hand on: they stay in the second cache

// Below, the others have no time to wake up: products of a layer of vectors.
constexpr int64_t least_products = int64_t{1} << 18;

// Nodes that run one behind the other, row by row or, over vectors, node by node; and the images that they run on.
struct Group {
  const bnnt_session &session;
  const uint8_t *pixels;
  int32_t first, last; // nodes
  size_t image, count; // the first one, and how many
  int64_t rows, step;  // of the value, and at a time
  int64_t parts;       // of the rows, or of the outputs of a layer of vectors

  Call call(int32_t node, size_t at, size_t vectors = 1) const {
    const Node &of = session.nodes[node];
    const auto value = [&](int32_t index) { return session.buffer(index) + at * session.values[index].bytes; };
    return {session,
            of,
            session.values[of.inputs[0]],
            session.values[node + 1],
            of.inputs[0] == 0 ? pixels + at * session.values[0].bytes : value(of.inputs[0]),
            of.inputs[1] < 0 ? nullptr : value(of.inputs[1]),
            value(node + 1),
            session.shared_scratch + at * session.shared_bytes,
            static_cast<int64_t>(vectors)};
  }

  Outputs outputs(int32_t node) const { return {0, session.nodes[node].layer.channels()}; }

  // How many times Layer::apart the first node's outputs are.
  int64_t blocks() const {
    const Layer &layer = session.nodes[first].layer;
    return (layer.outputs - 1) / static_cast<int64_t>(layer.apart) + 1;
  }

  uint8_t *scratch(int32_t worker) const {
    return session.worker_scratch + static_cast<uint64_t>(worker) * session.worker_bytes;
  }

  // Where a part of the rows begins: the first ones are the larger ones, so that all workers end at the same time.
  int64_t begin(int64_t part) const {
    const int64_t larger = rows % parts;
    return part * (rows / parts) + (part < larger ? part : larger);
  }

  void prepare(size_t at, size_t vectors = 1) const {
    if (session.nodes[first].op->prepare != nullptr)
      session.nodes[first].op->prepare(call(first, at, vectors));
  }

  void run_rows(size_t at, int64_t from, int64_t end, int32_t worker) const {
    for (int64_t row = from; row < end; row += step)
      for (int32_t node = first; node <= last; ++node)
        session.nodes[node].op->run(call(node, at),
                                    {row, row + step < end ? row + step : end, scratch(worker), outputs(node)});
  }
};

void run_part(void *argument, size_t index, int32_t worker) {
  const Group &group = *static_cast<const Group *>(argument);
  const int64_t part = static_cast<int64_t>(index);
  group.run_rows(group.image, group.begin(part), group.begin(part + 1), worker);
}

void run_image(void *argument, size_t index, int32_t worker) {
  const Group &group = *static_cast<const Group *>(argument);
  group.prepare(group.image + index);
  group.run_rows(group.image + index, 0, group.rows, worker);
}

// Some outputs of a layer of vectors, for all images.
void run_outputs(void *argument, size_t index, int32_t worker) {
  const Group &group = *static_cast<const Group *>(argument);
  const Layer &layer = group.session.nodes[group.first].layer;
  const int64_t apart = static_cast<int64_t>(layer.apart), part = static_cast<int64_t>(index), blocks = group.blocks();
  const int64_t begin = blocks * part / group.parts * apart, end = blocks * (part + 1) / group.parts * apart;
  group.session.nodes[group.first].op->run(
      group.call(group.first, group.image, group.count),
      {0, 1, group.scratch(worker), {begin, end < layer.outputs ? end : layer.outputs}});
}

void for_each(const bnnt_session &session, size_t count, bnnt_task task, Group &group) {
  if (count == 1)
    return task(&group, 0, 0);
  session.parallel_for(session.context, count, task, &group);
}

// As many parts as workers, since each reads all vectors.
void run_vectors(Group group) {
  const bnnt_session &session = group.session;
  for (const int32_t last = group.last; group.first <= last; ++group.first) {
    const Layer &layer = session.nodes[group.first].layer;
    const int64_t blocks = group.blocks();
    const int64_t products = layer.weights_of_one() * layer.outputs * static_cast<int64_t>(group.count);
    group.parts = products < least_products ? 1 : blocks < session.threads ? blocks : session.threads;
    group.prepare(group.image, group.count);
    for_each(session, static_cast<size_t>(group.parts), run_outputs, group);
  }
}

// Images, as many as there are workers or a multiple of it, and what is left by rows.
void run_group(Group group) {
  const bnnt_session &session = group.session;
  const Operator &op = *session.nodes[group.first].op;
  const size_t threads = static_cast<size_t>(session.threads), end = group.count;
  const size_t whole = threads > 1 ? end / threads * threads : 0;
  if (whole > 0)
    session.parallel_for(session.context, whole, run_image, &group);
  group.parts = 1;
  if (op.rowwise != Rowwise::none && threads > 1) {
    // as many as keep all workers busy though some are slower, with two rows or more, which kernels compute together
    const int64_t pairs = (group.rows + 1) / 2, workers = session.threads, most = 4 * workers;
    group.parts = pairs >= most ? most : pairs > workers ? pairs / workers * workers : pairs;
  }
  for (group.image = whole; group.image < end; ++group.image) {
    group.prepare(group.image);
    for_each(session, static_cast<size_t>(group.parts), run_part, group);
  }
}

void run_nodes(const bnnt_session &session, const uint8_t *pixels, int32_t first, int32_t last, size_t count) {
  const int64_t rows = session.values[first + 1].height;
  Group group{session, pixels, first, last, 0, count, rows, rows, 1};
  if (session.values[session.nodes[first].inputs[0]].rank == 1)
    return run_vectors(group);
  if (last > first) {
    uint64_t bytes = 0;
    for (int32_t node = first; node <= last; ++node)
      bytes += session.values[node + 1].bytes;
    const int64_t fit = band_bytes * rows / static_cast<int64_t>(bytes) / 2 * 2;
    group.step = fit < 2 ? 2 : fit;
  }
  run_group(group);
}

} // namespace

void run_images(const bnnt_session &session, const uint8_t *images, size_t index, size_t count,
                const bnnt_trace &trace) {
  for (int32_t first = 0, last; first < session.node_count; first = last + 1) {
    const bool alone = trace.nanoseconds != nullptr;
    last = alone ? first : session.nodes[first].group_end;
    const uint64_t start = alone ? trace.clock() : 0;
    run_nodes(session, images, first, last, count);
    if (alone)
      trace.nanoseconds[first] += trace.clock() - start;
    for (int32_t node = first; trace.hidden != nullptr && node <= last; ++node) {
      const Value &value = session.values[node + 1];
      for (size_t image = 0; value.kind == Kind::bits && image < count; ++image)
        __builtin_memcpy(trace.hidden + (index + image) * session.hidden_bytes + value.hidden_offset,
                         session.buffer(node + 1) + image * value.bytes, static_cast<size_t>(value.bytes));
    }
  }
}

} // namespace bnnt
