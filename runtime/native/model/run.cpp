#include "run.hpp"

namespace bnnt {

namespace {

constexpr int64_t band_bytes = 128 * 1024; // of the rows that nodes hand on: they stay in the second cache

// Nodes that run row by row one behind the other, and the parts that their rows are split into.
struct Group {
  const bnnt_session &session;
  const uint8_t *image;
  int32_t first, last; // nodes
  int64_t rows, step, count;

  Call call(int32_t node) const {
    const Node &of = session.nodes[node];
    return {session,
            of,
            session.values[of.inputs[0]],
            session.values[node + 1],
            of.inputs[0] == 0 ? image : session.buffer(of.inputs[0]),
            session.buffer(node + 1)};
  }

  // Two rows are computed together where a kernel can.
  int64_t begin(int64_t part) const { return part == count ? rows : rows * part / count / 2 * 2; }
};

void run_part(void *argument, size_t index, int32_t worker) {
  const Group &group = *static_cast<const Group *>(argument);
  const bnnt_session &session = group.session;
  uint8_t *scratch = session.worker_scratch + static_cast<uint64_t>(worker) * session.worker_bytes;
  const int64_t part = static_cast<int64_t>(index), end = group.begin(part + 1);
  for (int64_t row = group.begin(part); row < end; row += group.step)
    for (int32_t node = group.first; node <= group.last; ++node)
      session.nodes[node].op->run(group.call(node), {row, row + group.step < end ? row + group.step : end, scratch});
}

void run_group(const bnnt_session &session, const uint8_t *image, int32_t first, int32_t last) {
  const Operator &op = *session.nodes[first].op;
  Group group{session, image, first, last, session.values[first + 1].height, 0, 1};
  group.step = group.rows;
  if (last > first) {
    uint64_t bytes = 0;
    for (int32_t node = first; node <= last; ++node)
      bytes += session.values[node + 1].bytes;
    const int64_t fit = band_bytes * group.rows / static_cast<int64_t>(bytes) / 2 * 2;
    group.step = fit < 2 ? 2 : fit;
  }
  if (op.prepare != nullptr)
    op.prepare(group.call(first));
  if (op.rowwise != Rowwise::none && session.threads > 1) {
    const int64_t pairs = (group.rows + 1) / 2, most = 4 * int64_t{session.threads};
    group.count = pairs < most ? pairs : most; // as many as keep all workers busy though some are slower
  }
  if (group.count == 1)
    return run_part(&group, 0, 0);
  session.parallel_for(session.context, static_cast<size_t>(group.count), run_part, &group);
}

} // namespace

void run_image(const bnnt_session &session, const uint8_t *image, size_t index, const bnnt_trace &trace) {
  for (int32_t first = 0, last; first < session.node_count; first = last + 1) {
    const bool alone = trace.nanoseconds != nullptr;
    last = alone ? first : session.nodes[first].group_end;
    const uint64_t start = alone ? trace.clock() : 0;
    run_group(session, image, first, last);
    if (alone)
      trace.nanoseconds[first] += trace.clock() - start;
    for (int32_t node = first; trace.hidden != nullptr && node <= last; ++node) {
      const Value &value = session.values[node + 1];
      if (value.kind == Kind::bits)
        __builtin_memcpy(trace.hidden + index * session.hidden_bytes + value.hidden_offset, session.buffer(node + 1),
                         static_cast<size_t>(value.bytes));
    }
  }
}

} // namespace bnnt
