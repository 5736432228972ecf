// The operators without weights: each yields some rows of its value.
#pragma once

#include "../model/model.hpp"

namespace bnnt {

void pixel_input(const Call &call, const Part &part);
void pixel_normalize(const Call &call, const Part &part);
void sign(const Call &call, const Part &part);
void to_real(const Call &call, const Part &part);
void flatten(const Call &call, const Part &part);
void threshold(const Call &call, const Part &part);
void affine(const Call &call, const Part &part);
void relu(const Call &call, const Part &part);
void prelu(const Call &call, const Part &part);
void hardtanh(const Call &call, const Part &part);
void add(const Call &call, const Part &part);
void average(const Call &call, const Part &part);
void max_pool(const Call &call, const Part &part);

} // namespace bnnt
