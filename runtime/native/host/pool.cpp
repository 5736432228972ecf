// The threads behind bnnt_pool_open: each takes the next task of a job as it gets to it.
#include <pthread.h>

#include "../model/model.hpp"
#include "system_call.hpp"

// Weak, because before glibc 2.34 a program may have no threads.
extern "C" {
extern __typeof__(pthread_create) pthread_create __attribute__((weak));
extern __typeof__(pthread_join) pthread_join __attribute__((weak));
}

namespace bnnt {

namespace {

constexpr uint32_t closed = 0xffffffff; // as an index: no task is left, and none will be before the next job

#if defined(__x86_64__)
constexpr int spins = 400; // some tens of microseconds: layers follow each other faster than a thread wakes up
void pause() { __builtin_ia32_pause(); }
#else
constexpr int spins = 4000;
void pause() { asm volatile("yield"); }
#endif

template <class T> T get(const T &from) { return __atomic_load_n(&from, __ATOMIC_ACQUIRE); }
template <class T> void set(T &to, T value) { __atomic_store_n(&to, value, __ATOMIC_RELEASE); }

// Waits until *word is not `value`: awake for a moment, then asleep. `asleep` counts those that must be woken.
void wait_for_change(const uint32_t &word, uint32_t value, uint32_t &asleep) {
  for (int i = 0; i < spins; ++i) {
    if (get(word) != value)
      return;
    pause();
  }
  __atomic_add_fetch(&asleep, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == value)
    futex_wait(&word, value);
  __atomic_sub_fetch(&asleep, 1, __ATOMIC_SEQ_CST);
}

} // namespace

struct Worker {
  bnnt_pool *pool = nullptr;
  int32_t number = 0;
  bool pinned = false;
  uint64_t cpu = 0;
  pthread_t thread{};
};

} // namespace bnnt

using namespace bnnt;

struct bnnt_pool {
  uint64_t ticket = closed; // the number of the job, and the index of its next task
  uint32_t job = 0;         // what idle workers wait for
  uint32_t done = 0;        // tasks of this job that have ended
  uint32_t idle = 0, caller_idle = 0;
  uint32_t stop = 0;
  size_t count = 0;
  bnnt_task task = nullptr;
  void *argument = nullptr;
  int32_t threads = 1;
  Worker *workers = nullptr; // of all but the caller
};

namespace bnnt {

namespace {

// Takes task after task. What describes the job is read between the look at its ticket and the exchange, which fails
// if the job ended in between: tickets never come again.
void work(bnnt_pool &pool, int32_t worker) {
  for (;;) {
    uint64_t ticket = get(pool.ticket);
    const uint32_t index = static_cast<uint32_t>(ticket);
    const size_t count = __atomic_load_n(&pool.count, __ATOMIC_RELAXED);
    const bnnt_task task = __atomic_load_n(&pool.task, __ATOMIC_RELAXED);
    void *const argument = __atomic_load_n(&pool.argument, __ATOMIC_RELAXED);
    if (index == closed || index >= count)
      return;
    if (!__atomic_compare_exchange_n(&pool.ticket, &ticket, ticket + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
      continue;
    task(argument, index, worker);
    if (__atomic_add_fetch(&pool.done, 1, __ATOMIC_SEQ_CST) == count &&
        __atomic_load_n(&pool.caller_idle, __ATOMIC_SEQ_CST) != 0)
      futex_wake(&pool.done, 1);
  }
}

void *live(void *argument) {
  const Worker &worker = *static_cast<Worker *>(argument);
  bnnt_pool &pool = *worker.pool;
  if (worker.pinned)
    CpuSet::only(worker.cpu).apply();
  for (uint32_t job = 0;;) {
    wait_for_change(pool.job, job, pool.idle);
    job = get(pool.job);
    if (get(pool.stop) != 0)
      return nullptr;
    work(pool, worker.number);
  }
}

void announce(bnnt_pool &pool) {
  __atomic_add_fetch(&pool.job, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&pool.idle, __ATOMIC_SEQ_CST) != 0)
    futex_wake(&pool.job, most_threads);
}

} // namespace

} // namespace bnnt

bnnt_status bnnt_pool_open(int32_t threads, int32_t pin, void *memory, size_t memory_bytes, bnnt_pool **pool,
                           size_t *needed) {
  if (pool == nullptr || needed == nullptr || threads < 0 || threads > most_threads)
    return BNNT_USAGE;
  *pool = nullptr;
  const CpuSet cpus = CpuSet::mine();
  const int32_t here = cpus.count() > 0 ? cpus.count() : 1;
  threads = threads == 0 || threads > here ? here : threads; // more would take turns
  Arena arena(memory, memory_bytes);
  bnnt_pool *opened = arena.take<bnnt_pool>(1);
  Worker *workers = arena.take<Worker>(static_cast<uint64_t>(threads));
  *needed = static_cast<size_t>(arena.needed());
  if (!arena.fits())
    return BNNT_MEMORY;
  if (threads > 1 && (pthread_create == nullptr || pthread_join == nullptr))
    return BNNT_UNSUPPORTED;
  *opened = bnnt_pool{};
  opened->workers = workers;
  for (int32_t i = 1; i < threads; ++i) {
    Worker &worker = workers[i - 1] = Worker{opened, i, pin != 0, cpus.at(i), {}};
    if (pthread_create(&worker.thread, nullptr, live, &worker) != 0)
      break; // the system gives no more: fewer do the same
    opened->threads = i + 1;
  }
  *pool = opened;
  return BNNT_OK;
}

int32_t bnnt_pool_threads(const bnnt_pool *pool) { return pool->threads; }

void bnnt_pool_for(void *context, size_t count, bnnt_task task, void *argument) {
  bnnt_pool &pool = *static_cast<bnnt_pool *>(context);
  if (count == 0)
    return;
  const uint64_t job = get(pool.ticket) >> 32;
  set(pool.ticket, job << 32 | closed); // nobody takes a task while the job is described
  __atomic_store_n(&pool.count, count, __ATOMIC_RELAXED);
  __atomic_store_n(&pool.task, task, __ATOMIC_RELAXED);
  __atomic_store_n(&pool.argument, argument, __ATOMIC_RELAXED);
  set(pool.done, uint32_t{0});
  set(pool.ticket, (job + 1) << 32);
  announce(pool);
  work(pool, 0);
  for (uint32_t done; (done = get(pool.done)) != count;)
    wait_for_change(pool.done, done, pool.caller_idle);
}

void bnnt_pool_close(bnnt_pool *pool) {
  if (pool == nullptr)
    return;
  set(pool->stop, uint32_t{1});
  announce(*pool);
  for (int32_t i = 1; i < pool->threads; ++i)
    pthread_join(pool->workers[i - 1].thread, nullptr);
}
