// Many jobs of the pool of threads, for the thread sanitizer: every task once.
#include <stdio.h>
#include <stdlib.h>

#include "bnnt.h"

static int hits[64];

static void count(void *, size_t index, int32_t) { ++hits[index]; }

int main() {
  bnnt_pool *pool = nullptr;
  size_t needed = 0;
  bnnt_pool_open(0, 1, nullptr, 0, &pool, &needed);
  void *memory = malloc(needed);
  if (memory == nullptr || bnnt_pool_open(0, 1, memory, needed, &pool, &needed) != BNNT_OK)
    return 2;
  int64_t expected = 0, found = 0;
  for (size_t job = 0; job < 20000; ++job) {
    const size_t tasks = job % 65;
    bnnt_pool_for(pool, tasks, count, nullptr);
    expected += static_cast<int64_t>(tasks);
  }
  bnnt_pool_close(pool);
  for (const int each : hits)
    found += each;
  free(memory);
  printf("%lld of %lld tasks\n", static_cast<long long>(found), static_cast<long long>(expected));
  return found == expected ? 0 : 1;
}
