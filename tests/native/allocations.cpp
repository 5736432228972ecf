// Runs a model, and counts what asks for memory meanwhile: every function of the C library that gives some is this
// program's own.
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "bnnt.h"

static unsigned char heap[size_t{1} << 28] __attribute__((aligned(64)));
static size_t used;
static int watched, asked, before;

static void *give(size_t bytes) {
  ++(watched ? asked : before);
  unsigned char *from = heap + used;
  used += (bytes + 127) / 64 * 64;
  return used <= sizeof heap ? from : nullptr;
}

extern "C" {
void *malloc(size_t bytes) { return give(bytes); }
void *calloc(size_t count, size_t bytes) { return give(count * bytes); } // never given before: zeros
void *realloc(void *from, size_t bytes) {
  void *to = give(bytes);
  const size_t known = static_cast<size_t>(heap + used - static_cast<unsigned char *>(from));
  return from == nullptr || to == nullptr ? to : memcpy(to, from, bytes < known ? bytes : known);
}
void *aligned_alloc(size_t, size_t bytes) { return give(bytes); }
void *memalign(size_t, size_t bytes) { return give(bytes); }
int posix_memalign(void **to, size_t, size_t bytes) { return (*to = give(bytes)) == nullptr; }
void *mmap(void *, size_t bytes, int, int, int, long) { return give(bytes); }
void *sbrk(intptr_t bytes) { return give(static_cast<size_t>(bytes)); }
void free(void *) {
  if (watched)
    ++asked;
}
}

// MODEL.onnx THREADS
int main(int, char **arguments) {
  FILE *file = fopen(arguments[1], "rb");
  char *model = static_cast<char *>(malloc(1 << 24));
  const size_t bytes = fread(model, 1, 1 << 24, file);
  fclose(file);
  bnnt_pool *pool = nullptr;
  size_t needed = 0;
  const int32_t threads = arguments[2][0] - '0';
  bnnt_pool_open(threads, 0, nullptr, 0, &pool, &needed);
  if (bnnt_pool_open(threads, 0, malloc(needed), needed, &pool, &needed) != BNNT_OK)
    return 2;
  bnnt_options options = {sizeof options, BNNT_ABI, bnnt_pool_threads(pool), nullptr, bnnt_pool_for, pool, 2};
  bnnt_session *session = nullptr;
  bnnt_error error;
  void *memory = nullptr;
  needed = 0;
  while (bnnt_open(model, bytes, &options, memory, needed, &session, &needed, &error) == BNNT_MEMORY)
    memory = malloc(needed);
  if (session == nullptr)
    return 2;
  bnnt_info info;
  bnnt_describe(session, &info);
  const size_t image = static_cast<size_t>(info.height * info.width * info.channels);
  uint8_t *images = static_cast<uint8_t *>(calloc(5, image));
  float *logits = static_cast<float *>(malloc(5 * info.outputs * sizeof(float)));
  uint8_t *hidden = static_cast<uint8_t *>(malloc(5 * info.hidden_bytes));
  const bnnt_trace trace = {hidden, nullptr, nullptr};
  watched = 1;
  for (int i = 0; i < 20; ++i)
    bnnt_run(session, images, 5, logits, &trace);
  watched = 0;
  bnnt_pool_close(pool);
  printf("%d before, %d in runs\n", before, asked);
  return 0;
}
