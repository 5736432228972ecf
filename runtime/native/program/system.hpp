// What bnnt-run wants of the operating system. It talks to Linux itself: a static program without a C library is small
// and links at once for every CPU, while a cross-built C library costs a minute.
#pragma once

#include "../basic.hpp"

namespace bnnt {

// Zeroed memory that is never given back; ends the program with a message if there is none.
void *pages(size_t bytes);

template <class T> T *array(size_t count) { return static_cast<T *>(pages(count * sizeof(T) + 1)); }

bool read_whole_file(const char *path, Bytes &content, Error &error);

// The old file or the new one, never a part. The content is head and body, one behind the other.
bool write_whole_file(const char *path, Bytes head, Bytes body, Error &error);

void print(Bytes text);
void print_error(Bytes text);

uint64_t cpu_nanoseconds();

// The most memory that this process had at once.
uint64_t peak_bytes();

// Stay on one core; false if the system does not let us.
bool pin(uint64_t core);

[[noreturn]] void leave(int status);

// The program; what it returns is its exit code.
int program(int count, char **arguments);

} // namespace bnnt
