#include "../rows.hpp"

#include "avx2.hpp"

namespace bnnt::avx2 {

const Rows rows = RowsOf<32>::rows;

} // namespace bnnt::avx2
