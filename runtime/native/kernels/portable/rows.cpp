#include "../rows.hpp"

#include "portable.hpp"

namespace bnnt::portable {

const Rows rows = RowsOf<16>::rows;

} // namespace bnnt::portable
