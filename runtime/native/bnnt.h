/* bnnt: run a binary neural network from a canonical .onnx file.
 *
 * The library takes all of its memory from the caller, allocates nothing, keeps no state outside a session and calls no
 * function of the C library but memcpy, memmove, memset, memcmp and strlen (clock_gettime in bnnt_nanoseconds alone,
 * and pthread_create and pthread_join for a pool), all of which glibc, musl and Android's bionic have. One session
 * serves one thread at a time; sessions are independent of each other.
 *
 *     size_t needed = 0;
 *     void *memory = NULL;
 *     bnnt_session *session = NULL;
 *     bnnt_error error;
 *     while (bnnt_open(model, model_bytes, NULL, memory, needed, &session, &needed, &error) == BNNT_MEMORY)
 *       memory = realloc(memory, needed);
 *     bnnt_run(session, images, count, logits, NULL);
 *
 * The NULL stands for default options; others begin as
 *
 *     bnnt_options options = {sizeof options, BNNT_ABI};
 */
#ifndef BNNT_H
#define BNNT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BNNT_API __attribute__((visibility("default")))

/* Rises when a program that was compiled with an older header would no longer work. */
#define BNNT_ABI 1

typedef enum bnnt_status {
  BNNT_OK = 0,
  BNNT_MEMORY = 1,      /* the memory is too small: `needed` says how much to bring */
  BNNT_FORMAT = 2,      /* the file is truncated, foreign or corrupt */
  BNNT_UNSUPPORTED = 3, /* an operator gets what it does not take; the text names the node */
  BNNT_USAGE = 4        /* an argument is wrong, or a kernel set does not run on this CPU */
} bnnt_status;

typedef enum bnnt_kind { BNNT_PIXELS = 0, BNNT_BITS = 1, BNNT_ACC = 2, BNNT_REAL = 3 } bnnt_kind;

typedef struct bnnt_error {
  int32_t status;
  char text[244]; /* one line, ends with 0 */
} bnnt_error;

typedef struct bnnt_session bnnt_session;

typedef void (*bnnt_task)(void *argument, size_t index, int32_t worker);

/* Calls task(argument, index, worker) once for every index below `count`, in any order, and returns when all have
 * ended. `worker` is below the options' `threads`; tasks that go on at the same time have different ones. */
typedef void (*bnnt_parallel_for)(void *context, size_t count, bnnt_task task, void *argument);

/* Threads for any number of sessions, one bnnt_run at a time. In the options of a session:
 *
 *     options.threads = bnnt_pool_threads(pool);
 *     options.parallel_for = bnnt_pool_for;
 *     options.context = pool;
 */
typedef struct bnnt_pool bnnt_pool;

/* How a model is run. Later versions add members at the end; what is not 0 there, and unknown here, is refused. */
typedef struct bnnt_options {
  size_t struct_size;             /* sizeof(bnnt_options) */
  int32_t abi;                    /* BNNT_ABI */
  int32_t threads;                /* workers of parallel_for, at most 1024; 0: 1 */
  const char *kernels;            /* the name of a kernel set; NULL: the one that suits this CPU best */
  bnnt_parallel_for parallel_for; /* NULL: one after the other on the thread that calls bnnt_run */
  void *context;                  /* for parallel_for */
  int32_t images;                 /* computed together, at most 4096, each with memory of its own; 0: 1 */
} bnnt_options;

/* What a model takes and gives. Texts live as long as the session. */
typedef struct bnnt_info {
  int32_t height, width, channels; /* of one image, uint8 NHWC */
  int32_t output_rank;             /* 1: logits [F]; 3: [C, H, W] */
  int32_t output_shape[3];
  int32_t nodes;
  int32_t hidden;      /* how many nodes yield bits */
  size_t outputs;      /* floats of one image */
  size_t hidden_bytes; /* of all binary activations of one image */
  size_t memory_bytes; /* what the session holds of the caller's memory */
  const char *kernels; /* the kernel set in use, e.g. "portable" */
  const char *input;   /* the metadata bnnt.input: JSON with scale, offset, class names, fit; not 0-terminated */
  size_t input_bytes;
} bnnt_info;

/* One node and the value that it yields. */
typedef struct bnnt_node {
  const char *name;   /* UTF-8, ends with 0 */
  const char *op;     /* as in the file, e.g. "BinaryConv2dThreshold" */
  const char *kernel; /* what computes it, e.g. "bits avx512" */
  int32_t kind;       /* bnnt_kind */
  int32_t rank;       /* 1: [F]; 3: [H, W, C] */
  int32_t shape[3];
  size_t bytes;         /* of the value, for one image */
  size_t hidden_offset; /* bits: where it lies in one image's hidden bytes */
} bnnt_node;

/* What bnnt_run shall report besides the logits; a NULL member is not reported. */
typedef struct bnnt_trace {
  /* [count, hidden_bytes]: each image's binary activations in node order, packed along the channels, NHWC,
   * little-endian, bit 1 means -1, tail bits 0. */
  uint8_t *hidden;
  uint64_t *nanoseconds; /* [nodes], added to; needs `clock` */
  uint64_t (*clock)(void);
} bnnt_trace;

/* Load a model into the caller's memory.
 *
 * model: the file's bytes; they must stay where they are as long as the session is used.
 * options: NULL for the defaults. The bytes that come out are the same for all of them.
 * memory, memory_bytes: NULL and 0 to ask; BNNT_MEMORY answers with `needed` (at most twice).
 * error: filled unless BNNT_OK is returned; may be NULL. */
BNNT_API bnnt_status bnnt_open(const void *model, size_t model_bytes, const bnnt_options *options, void *memory,
                               size_t memory_bytes, bnnt_session **session, size_t *needed, bnnt_error *error);

BNNT_API void bnnt_describe(const bnnt_session *session, bnnt_info *info);

/* index in [0, info.nodes): BNNT_USAGE otherwise. */
BNNT_API bnnt_status bnnt_describe_node(const bnnt_session *session, int32_t index, bnnt_node *node);

/* images: uint8 [count, height, width, channels]; logits: float32 [count, outputs]; trace may be NULL. */
BNNT_API bnnt_status bnnt_run(bnnt_session *session, const uint8_t *images, size_t count, float *logits,
                              const bnnt_trace *trace);

/* Start threads in the caller's memory.
 *
 * threads: with the one that will call bnnt_run, from 1 to 1024; 0: as many as there are CPUs for this thread. Never
 * more than that, since they would take turns: bnnt_pool_threads says how many it became.
 * pin: not 0: each of the pool's own threads stays on one CPU, the second, third ... of those.
 * memory, memory_bytes, needed: as in bnnt_open. BNNT_UNSUPPORTED: this process has no pthread_create. */
BNNT_API bnnt_status bnnt_pool_open(int32_t threads, int32_t pin, void *memory, size_t memory_bytes, bnnt_pool **pool,
                                    size_t *needed);

BNNT_API int32_t bnnt_pool_threads(const bnnt_pool *pool);

/* A bnnt_parallel_for, whose context is the pool. */
BNNT_API void bnnt_pool_for(void *pool, size_t count, bnnt_task task, void *argument);

/* Ends the threads; then the memory is the caller's again. No session may run. NULL: nothing. */
BNNT_API void bnnt_pool_close(bnnt_pool *pool);

/* The name of kernel set `index` if this CPU runs it, "" if it does not, NULL behind the last one. Best first. */
BNNT_API const char *bnnt_kernel_set(int32_t index);

/* A monotonic clock, for bnnt_trace. */
BNNT_API uint64_t bnnt_nanoseconds(void);

BNNT_API const char *bnnt_version(void);

/* The BNNT_ABI that the library was compiled with. */
BNNT_API int32_t bnnt_abi(void);

#ifdef __cplusplus
}
#endif
#endif
