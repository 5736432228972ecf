// The operators without weights: one pass over one image each. Too cheap to have more than one kernel set.
#pragma once

#include "../model/model.hpp"

namespace bnnt {

void pixel_input(const Node &node, const Value &x, const uint8_t *from, int32_t *to);
void pixel_normalize(const Node &node, const Value &x, const uint8_t *from, float *to);
void sign(const Value &x, const float *from, uint8_t *to);
void to_real(const Value &x, const uint8_t *from, float *to);
void flatten(const Value &x, const uint8_t *from, uint8_t *to);
void affine(const Node &node, const Value &x, const uint8_t *from, float *to);
void relu(const Value &x, const float *from, float *to);
void hardtanh(const Value &x, const float *from, float *to);
void add(const Value &x, const float *a, const float *b, float *to);
void average(const Value &x, const float *from, float *to);
void max_pool(const Node &node, const Value &x, const Value &result, const uint8_t *from, uint8_t *to);

} // namespace bnnt
