#include "../rows.hpp"

#include "avx512.hpp"

namespace bnnt::avx512 {

const Rows rows = RowsOf<64>::rows;

} // namespace bnnt::avx512
