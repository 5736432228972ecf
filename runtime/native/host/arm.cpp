#include "cpu.hpp"

#if defined(__aarch64__)

#include "system_call.hpp"

namespace bnnt {

namespace {

constexpr long sys_openat = 56, sys_close = 57, sys_read = 63, here = -100;

// The beginning of a file of the system's; 0 bytes where there is none.
size_t read_start(const char *path, void *to, size_t room) {
  const long file = system_call(sys_openat, here, address(path));
  if (file < 0)
    return 0;
  const long got = system_call(sys_read, file, address(to), static_cast<long>(room));
  system_call(sys_close, file);
  return got > 0 ? static_cast<size_t>(got) : 0;
}

uint64_t hardware_capabilities() {
  constexpr uint64_t at_hwcap = 16;
  uint64_t pairs[128] = {};
  const size_t count = read_start("/proc/self/auxv", pairs, sizeof pairs) / sizeof pairs[0];
  for (size_t i = 0; i + 1 < count; i += 2)
    if (pairs[i] == at_hwcap)
      return pairs[i + 1];
  return 0;
}

// The register that names a core: from the system for any core, else of the one that this runs on; 0: nobody says.
uint64_t main_id(uint64_t cpu) {
  char path[80] = "/sys/devices/system/cpu/cpu", digits[20], text[19] = {};
  size_t length = __builtin_strlen(path), count = 0;
  do
    digits[count++] = static_cast<char>('0' + cpu % 10);
  while ((cpu /= 10) != 0);
  while (count > 0)
    path[length++] = digits[--count];
  __builtin_memcpy(path + length, "/regs/identification/midr_el1", sizeof "/regs/identification/midr_el1");
  uint64_t value = 0;
  if (read_start(path, text, sizeof text - 1) > 2) { // 0x...
    for (const char *digit = text + 2; *digit != 0 && *digit != '\n'; ++digit)
      value = 16 * value + static_cast<uint64_t>(*digit <= '9' ? *digit - '0' : (*digit | 32) - 'a' + 10);
    return value;
  }
  constexpr uint64_t readable = uint64_t{1} << 11; // HWCAP_CPUID
  if ((hardware_capabilities() & readable) != 0)
    asm("mrs %0, midr_el1" : "=r"(value));
  return value;
}

// How many of the cores that this thread may use are Arm's and have one of these part numbers.
template <size_t count> int32_t cores_of(const CpuSet &cpus, const uint32_t (&parts)[count]) {
  int32_t found = 0;
  for (int32_t i = 0; i < cpus.count(); ++i) {
    const uint64_t id = main_id(cpus.at(i));
    for (const uint32_t part : parts)
      found += id >> 24 == 0x41 && (id >> 4 & 0xfff) == part;
  }
  return found;
}

} // namespace

bool cpu_has_dot_products() { return (hardware_capabilities() >> 20 & 1) != 0; } // HWCAP_ASIMDDP

bool cpu_is_inorder() {
  static constexpr uint32_t parts[] = {0xd02, 0xd03, 0xd04, 0xd05, 0xd46, 0xd80}; // A34, A53, A35, A55, A510, A520
  return cores_of(CpuSet::mine(), parts) > 0; // the slowest core is the one that others wait for
}

bool cpu_looks_up_fast() {
  // A76, A76AE, A77, A78, A78AE, A78C; Neoverse N1 and N2
  static constexpr uint32_t parts[] = {0xd0b, 0xd0e, 0xd0d, 0xd41, 0xd42, 0xd4b, 0xd0c, 0xd49};
  const CpuSet cpus = CpuSet::mine();
  return cpus.count() > 0 && cores_of(cpus, parts) == cpus.count();
}

} // namespace bnnt

#endif
