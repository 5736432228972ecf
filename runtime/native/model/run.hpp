// One image through all nodes.
#pragma once

#include "model.hpp"

namespace bnnt {

// `index`: of the image among those that are traced. Where times are wanted every node runs alone.
void run_image(const bnnt_session &session, const uint8_t *image, size_t index, const bnnt_trace &trace);

} // namespace bnnt
