#include "system.hpp"

#include <time.h>

namespace bnnt {

namespace {

#if defined(__x86_64__)
enum : long {
  sys_read = 0,
  sys_write = 1,
  sys_close = 3,
  sys_mmap = 9,
  sys_getpid = 39,
  sys_fsync = 74,
  sys_sched_setaffinity = 203,
  sys_clock_gettime = 228,
  sys_exit_group = 231,
  sys_openat = 257,
  sys_unlinkat = 263,
  sys_renameat = 264
};

long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
enum : long {
  sys_unlinkat = 35,
  sys_renameat = 38,
  sys_openat = 56,
  sys_close = 57,
  sys_read = 63,
  sys_write = 64,
  sys_fsync = 82,
  sys_exit_group = 94,
  sys_clock_gettime = 113,
  sys_sched_setaffinity = 122,
  sys_getpid = 172,
  sys_mmap = 222
};

long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#else
#error "bnnt-run knows Linux on x86-64 and on arm64"
#endif

constexpr long here = -100;                // AT_FDCWD
constexpr long create = 01 | 0100 | 01000; // O_WRONLY | O_CREAT | O_TRUNC

long of(const void *pointer) { return static_cast<long>(reinterpret_cast<uintptr_t>(pointer)); }

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
    const long done = call(sys_write, file, of(text.data), static_cast<long>(text.size));
    if (done <= 0)
      return done == 0 ? -28 : done;
    text = {text.data + done, text.size - static_cast<size_t>(done)};
  }
  return 0;
}

uint64_t now(long clock) {
  struct timespec time{};
  call(sys_clock_gettime, clock, of(&time));
  return static_cast<uint64_t>(time.tv_sec) * 1000000000u + static_cast<uint64_t>(time.tv_nsec);
}

} // namespace

void *pages(size_t bytes) {
  const long memory = call(sys_mmap, 0, static_cast<long>(bytes), 3, 0x4022, -1, 0); // private, anonymous, no reserve
  if (memory < 0 && memory > -4096) {
    print(text("{\"error\": \"out of memory\"}\n"));
    leave(2);
  }
  return reinterpret_cast<void *>(memory);
}

bool read_whole_file(const char *path, Bytes &content, Error &error) {
  const long file = call(sys_openat, here, of(path));
  if (file < 0)
    return error.fail(BNNT_USAGE, "cannot read ", text(path), ": ", reason(file));
  size_t room = 1 << 16, size = 0;
  uint8_t *data = array<uint8_t>(room);
  long got = 0;
  while ((got = call(sys_read, file, of(data + size), static_cast<long>(room - size))) > 0) {
    size += static_cast<size_t>(got);
    if (size < room)
      continue;
    room *= 4;
    uint8_t *larger = array<uint8_t>(room);
    __builtin_memcpy(larger, data, size);
    data = larger;
  }
  call(sys_close, file);
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
  for (long id = call(sys_getpid); id > 0; id /= 10)
    *end++ = static_cast<char>('0' + id % 10);
  const long file = call(sys_openat, here, of(part), create, 0644);
  if (file < 0)
    return error.fail(BNNT_USAGE, "cannot write ", text(path), ": ", reason(file));
  long status = write_all(file, head);
  status = status != 0 ? status : write_all(file, body);
  status = status != 0 ? status : call(sys_fsync, file);
  call(sys_close, file);
  status = status != 0 ? status : call(sys_renameat, here, of(part), here, of(path));
  if (status == 0)
    return true;
  call(sys_unlinkat, here, of(part));
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

bool pin(uint64_t core) {
  uint64_t mask[64] = {};
  if (core >= 64 * 64)
    return false;
  mask[core / 64] = uint64_t{1} << core % 64;
  return call(sys_sched_setaffinity, 0, sizeof mask, of(mask)) >= 0;
}

void leave(int status) {
  for (;;)
    call(sys_exit_group, status);
}

} // namespace bnnt

extern "C" {

// What compilers and the library expect to be there. The empty asm keeps a loop from becoming a call of itself.

int clock_gettime(clockid_t clock, struct timespec *time) {
  return static_cast<int>(bnnt::call(bnnt::sys_clock_gettime, clock, bnnt::of(time)));
}

void *memcpy(void *to, const void *from, size_t size) {
  uint8_t *target = static_cast<uint8_t *>(to);
  const uint8_t *source = static_cast<const uint8_t *>(from);
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
