// Images through all nodes.
#pragma once

#include "model.hpp"

namespace bnnt {

// `count` images, as many as the session computes together at most. `index`: of the first one among those that are
// traced. Where times are wanted every node runs alone.
void run_images(const bnnt_session &session, const uint8_t *images, size_t index, size_t count,
                const bnnt_trace &trace);

} // namespace bnnt
