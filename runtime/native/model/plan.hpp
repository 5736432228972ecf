// From nodes that were read to a session that can run.
#pragma once

#include "model.hpp"

namespace bnnt {

// Chooses kernels, takes the memory of parameters, values and scratch; then, if all of it fits, fills the parameters.
// `alive`: room for one index a value. False where it does not fit: arena.needed() says how much does.
bool plan(bnnt_session &session, int32_t *alive, Arena &arena);

} // namespace bnnt
