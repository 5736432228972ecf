// What bnnt-run does with an open model; each task adds its part to the JSON document.
#pragma once

#include "json.hpp"
#include "npy.hpp"

namespace bnnt {

struct Model {
  bnnt_session *session = nullptr;
  bnnt_info info = {};
};

void describe(const Model &model, Text &json);

// The images of a file: uint8 [N, H, W, C] of the model's size.
bool read_images(const Model &model, const char *path, Npy &images, Error &error);

// Runs `images` and writes what is asked for; a path may be nullptr.
bool run_images(const Model &model, const Npy &images, const char *logits, const char *digests, Text &json,
                Error &error);

// Compares with images.npy, logits.npy and digests.npy of a folder.
bool check_golden(const Model &model, const char *folder, Text &json, bool &equal, Error &error);

// Time of one image for about `nanoseconds` in all; images may be empty: then they are noise.
void bench(const Model &model, const Npy &images, uint64_t nanoseconds, Text &json);

// The least time of every node over about `nanoseconds` of runs.
void profile(const Model &model, const Npy &images, uint64_t nanoseconds, Text &json);

} // namespace bnnt
