// The operators without weights: one pass over one image each. Too cheap to have more than one kernel set.
#pragma once

#include "../model/model.hpp"

namespace bnnt {

void pixel_input(const Call &call);
void pixel_normalize(const Call &call);
void sign(const Call &call);
void to_real(const Call &call);
void flatten(const Call &call);
void threshold(const Call &call);
void affine(const Call &call);
void relu(const Call &call);
void prelu(const Call &call);
void hardtanh(const Call &call);
void add(const Call &call);
void average(const Call &call);
void max_pool(const Call &call);

} // namespace bnnt
