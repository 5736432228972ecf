// What bnnt-run does with an open model; each task adds its part to the JSON document.
#pragma once

#include "json.hpp"
#include "npy.hpp"

namespace bnnt {

struct Model {
  bnnt_session *session = nullptr;
  bnnt_info info = {};
  int32_t threads = 1;
};

void describe(const Model &model, Text &json);

// The images of a file: uint8 [N, H, W, C] of the model's size.
bool read_images(const Model &model, const char *path, Npy &images, Error &error);

// Runs `images` and writes what is asked for; a path may be nullptr.
bool run_images(const Model &model, const Npy &images, const char *logits, const char *digests, Text &json,
                Error &error);

// Compares with images.npy, logits.npy and digests.npy of a folder.
bool check_golden(const Model &model, const char *folder, Text &json, bool &equal, Error &error);

struct BenchOptions {
  uint64_t nanoseconds = 0; // in all, at least
  size_t least_runs = 1, batch = 1;
  const char *samples = nullptr; // a file for the CPU and wall nanoseconds of each run: "<u8" [runs, 2]
  uint64_t load_nanoseconds = 0; // what reading and opening the model took
};

// Times runs of a batch; images may be too few: then they are noise.
bool bench(const Model &model, const Npy &images, const BenchOptions &options, Text &json, Error &error);

// The least time of every node over about `nanoseconds` of runs.
void profile(const Model &model, const Npy &images, uint64_t nanoseconds, Text &json);

} // namespace bnnt
