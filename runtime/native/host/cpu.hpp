// Which instructions the CPU and the operating system offer.
#pragma once

namespace bnnt {

bool cpu_has_avx2();
bool cpu_has_avx512bw(); // F, DQ, BW and VL
bool cpu_has_avx512();   // VNNI and VPOPCNTDQ besides

} // namespace bnnt
