#include "../host/system_call.hpp"
#include "system.hpp"

#include <pthread.h>
#include <time.h>

namespace bnnt {

namespace {

#if defined(__x86_64__)
enum : long {
  sys_read = 0,
  sys_write = 1,
  sys_close = 3,
  sys_lseek = 8,
  sys_mmap = 9,
  sys_getpid = 39,
  sys_fsync = 74,
  sys_clock_gettime = 228,
  sys_exit_group = 231,
  sys_openat = 257,
  sys_unlinkat = 263,
  sys_renameat = 264
};
#else
enum : long {
  sys_unlinkat = 35,
  sys_renameat = 38,
  sys_openat = 56,
  sys_close = 57,
  sys_lseek = 62,
  sys_read = 63,
  sys_write = 64,
  sys_fsync = 82,
  sys_exit_group = 94,
  sys_clock_gettime = 113,
  sys_getpid = 172,
  sys_mmap = 222
};
#endif

constexpr long here = -100;                // AT_FDCWD
constexpr long create = 01 | 0100 | 01000; // O_WRONLY | O_CREAT | O_TRUNC

const char *reason(long code) {
  switch (-code) {
  case 1:
  case 13:
    return "permission denied";
  case 2:
    return "no such file";
  case 20:
    return "not a folder";
  case 21:
    return "a folder, not a file";
  case 28:
    return "the disk is full";
  case 30:
    return "the file system is read-only";
  default:
    return "the system refuses";
  }
}

// 0, or the system's negative error.
long write_all(long file, Bytes text) {
  while (text.size > 0) {
    const long done = system_call(sys_write, file, address(text.data), static_cast<long>(text.size));
    if (done <= 0)
      return done == 0 ? -28 : done;
    text = {text.data + done, text.size - static_cast<size_t>(done)};
  }
  return 0;
}

uint64_t now(long clock) {
  struct timespec time{};
  system_call(sys_clock_gettime, clock, address(&time));
  return static_cast<uint64_t>(time.tv_sec) * 1000000000u + static_cast<uint64_t>(time.tv_nsec);
}

} // namespace

void *pages(size_t bytes) {
  const long memory =
      system_call(sys_mmap, 0, static_cast<long>(bytes), 3, 0x4022, -1, 0); // private, anonymous, no reserve
  if (memory < 0 && memory > -4096) {
    print(text("{\"error\": \"out of memory\"}\n"));
    leave(2);
  }
  return reinterpret_cast<void *>(memory);
}

bool read_whole_file(const char *path, Bytes &content, Error &error) {
  const long file = system_call(sys_openat, here, address(path));
  if (file < 0)
    return error.fail(BNNT_USAGE, "cannot read ", text(path), ": ", reason(file));
  // what the system says of its size is a guess: it is 0 of files that are made while they are read, and anything of
  // folders
  const long guess = system_call(sys_lseek, file, 0, 2);
  system_call(sys_lseek, file, 0, 0);
  size_t room = guess > 0 && guess < 1l << 32 ? static_cast<size_t>(guess) + 1 : 1 << 16, size = 0;
  uint8_t *data = array<uint8_t>(room);
  long got = 0;
  while ((got = system_call(sys_read, file, address(data + size), static_cast<long>(room - size))) > 0) {
    size += static_cast<size_t>(got);
    if (size < room)
      continue;
    room *= 4;
    uint8_t *larger = array<uint8_t>(room);
    __builtin_memcpy(larger, data, size);
    data = larger;
  }
  system_call(sys_close, file);
  if (got < 0)
    return error.fail(BNNT_USAGE, "cannot read ", text(path), ": ", reason(got));
  content = {data, size};
  return true;
}

bool write_whole_file(const char *path, Bytes head, Bytes body, Error &error) {
  const size_t length = __builtin_strlen(path);
  char *part = array<char>(length + 32);
  __builtin_memcpy(part, path, length);
  char *end = part + length;
  __builtin_memcpy(end, ".part-", 6);
  end += 6;
  for (long id = system_call(sys_getpid); id > 0; id /= 10)
    *end++ = static_cast<char>('0' + id % 10);
  const long file = system_call(sys_openat, here, address(part), create, 0644);
  if (file < 0)
    return error.fail(BNNT_USAGE, "cannot write ", text(path), ": ", reason(file));
  long status = write_all(file, head);
  status = status != 0 ? status : write_all(file, body);
  status = status != 0 ? status : system_call(sys_fsync, file);
  system_call(sys_close, file);
  status = status != 0 ? status : system_call(sys_renameat, here, address(part), here, address(path));
  if (status == 0)
    return true;
  system_call(sys_unlinkat, here, address(part));
  return error.fail(BNNT_USAGE, "cannot write ", text(path), ": ", reason(status));
}

void print(Bytes text) { write_all(1, text); }

void print_error(Bytes text) { write_all(2, text); }

uint64_t cpu_nanoseconds() { return now(CLOCK_PROCESS_CPUTIME_ID); }

uint64_t peak_bytes() {
  // getrusage would count what this process was before it became this program.
  Bytes status;
  bnnt_error failure;
  Error error(&failure);
  if (!read_whole_file("/proc/self/status", status, error))
    return 0;
  uint64_t kilobytes = 0;
  for (size_t i = 0; i + 6 < status.size; ++i) {
    if (!(Bytes{status.data + i, 6} == "VmHWM:"))
      continue;
    for (i += 6; i < status.size && status.data[i] != '\n'; ++i)
      if (status.data[i] >= '0' && status.data[i] <= '9')
        kilobytes = 10 * kilobytes + (status.data[i] - '0');
    break;
  }
  return kilobytes * 1024;
}

bool pin(uint64_t core) { return core < CpuSet::most && CpuSet::only(core).apply(); }

void leave(int status) {
  for (;;)
    system_call(sys_exit_group, status);
}

} // namespace bnnt

extern "C" {

// What compilers and the library expect to be there. The empty asm keeps a loop from becoming a call of itself.

int clock_gettime(clockid_t clock, struct timespec *time) {
  return static_cast<int>(bnnt::system_call(bnnt::sys_clock_gettime, clock, bnnt::address(time)));
}

void *memcpy(void *to, const void *from, size_t size) {
  typedef uint64_t Two __attribute__((vector_size(16)));
  uint8_t *target = static_cast<uint8_t *>(to);
  const uint8_t *source = static_cast<const uint8_t *>(from);
  for (; size >= 32; size -= 32, target += 32, source += 32) {
    const Two a = bnnt::load<Two>(source), b = bnnt::load<Two>(source + 16);
    __builtin_memcpy(target, &a, sizeof a);
    __builtin_memcpy(target + 16, &b, sizeof b);
    asm volatile("" ::: "memory");
  }
  for (; size >= 8; size -= 8, target += 8, source += 8) {
    const uint64_t word = bnnt::load<uint64_t>(source);
    __builtin_memcpy(target, &word, 8);
    asm volatile("" ::: "memory");
  }
  for (; size > 0; --size) {
    *target++ = *source++;
    asm volatile("" ::: "memory");
  }
  return to;
}

void *memmove(void *to, const void *from, size_t size) {
  uint8_t *target = static_cast<uint8_t *>(to);
  const uint8_t *source = static_cast<const uint8_t *>(from);
  if (target <= source || target >= source + size)
    return memcpy(to, from, size);
  while (size-- > 0) {
    target[size] = source[size];
    asm volatile("" ::: "memory");
  }
  return to;
}

void *memset(void *to, int value, size_t size) {
  uint8_t *target = static_cast<uint8_t *>(to);
  const uint64_t eight = 0x0101010101010101u * static_cast<uint8_t>(value);
  for (; size >= 8; size -= 8, target += 8) {
    __builtin_memcpy(target, &eight, 8);
    asm volatile("" ::: "memory");
  }
  for (; size > 0; --size) {
    *target++ = static_cast<uint8_t>(value);
    asm volatile("" ::: "memory");
  }
  return to;
}

int memcmp(const void *a, const void *b, size_t size) {
  const uint8_t *x = static_cast<const uint8_t *>(a), *y = static_cast<const uint8_t *>(b);
  for (size_t i = 0; i < size; ++i) {
    if (x[i] != y[i])
      return x[i] < y[i] ? -1 : 1;
    asm volatile("" ::: "memory");
  }
  return 0;
}

size_t strlen(const char *text) {
  size_t length = 0;
  for (; text[length] != 0; ++length)
    asm volatile("" ::: "memory");
  return length;
}

// Threads as host/pool.cpp wants them, whose tasks call nothing that would need a C library's thread.
namespace {

struct Thread {
  uint32_t alive; // the kernel clears it, and wakes who waits, when the thread is gone
  void *(*run)(void *);
  void *argument;
};

__attribute__((used)) void live(Thread *thread) { thread->run(thread->argument); }

// Returns in the caller alone: 0 or a negative error. In the new thread it calls live(thread), then ends it.
long clone_thread(long flags, void *stack, Thread *thread) {
#if defined(__x86_64__)
  register long tls asm("r8") = 0;
  register long cleared asm("r10") = bnnt::address(&thread->alive);
  register Thread *kept asm("r12") = thread;
  long result;
  asm volatile("syscall\n"
               "test %%rax, %%rax\n"
               "jnz 1f\n"
               "xor %%ebp, %%ebp\n"
               "mov %%r12, %%rdi\n"
               "call *%[live]\n"
               "mov $60, %%eax\n" // exit, of this thread alone
               "xor %%edi, %%edi\n"
               "syscall\n"
               "1:\n"
               : "=a"(result)
               : "a"(56L), "D"(flags), "S"(stack), "d"(0L), "r"(cleared), "r"(tls), "r"(kept), [live] "b"(live)
               : "rcx", "r11", "memory");
  return result;
#else
  register long number asm("x8") = 220;
  register long result asm("x0") = flags;
  register void *top asm("x1") = stack;
  register long parent asm("x2") = 0;
  register long tls asm("x3") = 0;
  register long cleared asm("x4") = bnnt::address(&thread->alive);
  register Thread *kept asm("x19") = thread;
  register void (*function)(Thread *) asm("x20") = live;
  asm volatile("svc 0\n"
               "cbnz x0, 1f\n"
               "mov x29, #0\n"
               "mov x0, x19\n"
               "blr x20\n"
               "mov x0, #0\n"
               "mov x8, #93\n"
               "svc 0\n"
               "1:\n"
               : "+r"(result)
               : "r"(number), "r"(top), "r"(parent), "r"(tls), "r"(cleared), "r"(kept), "r"(function)
               : "memory", "x30");
  return result;
#endif
}

} // namespace

int pthread_create(pthread_t *thread, const pthread_attr_t *, void *(*run)(void *), void *argument) {
  constexpr size_t stack = 1 << 18;
  constexpr long shared = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000; // VM FS FILES SIGHAND THREAD SYSVSEM
  constexpr long cleared = 0x200000;                                         // CHILD_CLEARTID
  uint8_t *memory = bnnt::array<uint8_t>(stack);
  Thread *made = reinterpret_cast<Thread *>(memory + stack - 64); // the stack grows down from there
  *made = {1, run, argument};
  *thread = reinterpret_cast<pthread_t>(made);
  return clone_thread(shared | cleared, made, made) < 0 ? 11 : 0; // EAGAIN
}

int pthread_join(pthread_t thread, void **) {
  const uint32_t *alive = &reinterpret_cast<const Thread *>(thread)->alive;
  while (__atomic_load_n(alive, __ATOMIC_ACQUIRE) != 0)
    bnnt::system_call(bnnt::sys_futex, bnnt::address(alive), 0, 1); // FUTEX_WAIT, which the kernel's wake wants
  return 0;
}

// The stack as the kernel leaves it: the argument count, then the arguments.
[[noreturn]] __attribute__((used, visibility("hidden"))) void bnnt_start(long *stack) {
  bnnt::leave(bnnt::program(static_cast<int>(stack[0]), reinterpret_cast<char **>(stack + 1)));
}

#if defined(__x86_64__)
asm(".globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call bnnt_start\n");
#else
asm(".globl _start\n_start:\n  mov x29, #0\n  mov x30, #0\n  mov x0, sp\n  bl bnnt_start\n");
#endif
}
