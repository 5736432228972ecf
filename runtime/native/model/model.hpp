// The model in memory: values, nodes, and what loading prepares for the kernels.
#pragma once

#include "../basic.hpp"

namespace bnnt {

struct Kernels;
struct Convolver;

constexpr int64_t largest = 0x7fffffff;         // of an attribute or a dimension
constexpr int64_t acc_limit = int64_t{1} << 24; // accumulators stay below

// How large a network may be, as in converters/graph/size.py.
constexpr int32_t most_nodes = 1024;                    // lookups and planning are quadratic
constexpr int64_t most_elements = int64_t{1} << 26;     // of one value, and of the padded input of a window
constexpr int64_t most_all_elements = int64_t{1} << 28; // of all values
constexpr int64_t most_products = int64_t{1} << 36;     // of one layer
constexpr int64_t most_pooled = int64_t{1} << 16;       // elements under a pooling window
constexpr size_t longest_name = 1000;                   // bytes
constexpr int32_t most_images = 4096;                   // computed together

// Whether a value of these sides, none below 1, is small enough.
inline bool few_elements(int64_t height, int64_t width, int64_t channels) {
  return height <= most_elements && width <= most_elements / height && channels <= most_elements / (height * width);
}

enum class Kind : uint8_t { pixels = BNNT_PIXELS, bits = BNNT_BITS, acc = BNNT_ACC, real = BNNT_REAL };

const char *name_of(Kind kind);

// One value: NHWC for one image; a vector [F] has rank 1 and is 1 x 1 x F.
struct Value {
  Bytes name;
  Kind kind = Kind::pixels;
  int32_t rank = 0;
  int64_t height = 1, width = 1, channels = 1;
  int64_t low = 0, high = 0; // of an accumulator
  int32_t last_use = 0;      // index of the last node that reads it
  uint64_t bytes = 0;
  uint64_t offset = 0; // in the session's buffers
  uint64_t hidden_offset = 0;

  int64_t pixels() const { return height * width; }
  int64_t elements() const { return pixels() * channels; }
  int64_t packed() const { return (channels + 7) / 8; } // bytes of one pixel's bits
};

// An initializer of the file; the bytes may have any alignment.
struct Tensor {
  Bytes name;
  int32_t type = 0;
  int32_t rank = 0;
  int64_t dims[4] = {};
  Bytes data;
  bool used = false;

  float real(size_t index) const { return load<float>(data.data + 4 * index); }
};

struct Window {
  int64_t kernel[2] = {1, 1};
  int64_t strides[2] = {1, 1};
  int64_t dilations[2] = {1, 1};
  int64_t pads[4] = {}; // top, left, bottom, right

  int64_t taps() const { return kernel[0] * kernel[1]; }
  bool padded() const { return (pads[0] | pads[1] | pads[2] | pads[3]) != 0; }
};

// How a layer with weights is computed.
enum class Method : uint8_t {
  direct, // a convolution of bits straight to its result
  bits,   // xor and popcount
  planes, // xor and popcount of each bit plane of the accumulators
  bytes,  // products of bytes
  real,   // sums of float32 in the fixed order
};

// What a direct convolution prepares: see kernels/convolution.hpp. Bytes are those of the expanded image.
struct Direct {
  const Convolver *convolver = nullptr;
  uint64_t line = 0;                                // bytes of a padded row
  uint64_t rows = 0;                                // of the convolution, in one band
  uint64_t run_count = 0, run_bytes = 0;            // packed
  uint64_t arranged = 0;                            // outputs of a group, as the kernel arranges them
  int64_t top = 0, bottom = 0, left = 0, right = 0; // rows and columns of the output whose windows reach outside
  uint32_t *runs = nullptr;
  int16_t *limits = nullptr;  // [group][arranged], with thresholds
  int16_t *borders = nullptr; // [group][case][arranged], where taps outside do not count

  uint64_t cases() const { return static_cast<uint64_t>((1 + top + bottom) * (1 + left + right)); }
};

// The part of a node that has weights: window, prepared weights, and how they are computed.
struct Layer {
  Window window;
  int64_t group = 1;
  int64_t inputs = 1;            // channels of one group
  int64_t outputs = 1;           // channels of one group
  int64_t height = 1, width = 1; // of the output, before pooling
  int64_t images = 1;            // of a layer of vectors: how many are computed together at most
  int64_t pad_value = 0;
  bool pad_counts = false; // real sums: taps outside the image are added
  Method method = Method::bits;

  // what the method makes of it
  uint64_t block = 1;          // outputs that the kernel computes at a time
  uint64_t apart = 1;          // outputs: weights of a multiple of these may be used alone
  int64_t blocked = 0;         // outputs of one group, rounded up to blocks
  uint64_t stride = 0;         // int32 elements between two pixels of a row of sums
  uint64_t runs = 1, run = 0;  // words of one window, as in Dots
  uint64_t input_bytes = 0;    // of the padded image that windows are read from; 0: they are packed one by one
  bool gathered = false;       // bytes: the rows of a window are brought together first
  int32_t planes = 0;          // bit planes
  int64_t low = 0;             // planes and bytes: the accumulator that is stored as 0
  uint8_t *weights = nullptr;  // as the method's kernel wants them
  int32_t *tap_sums = nullptr; // bits with pad_value 0: [tap][channel], what the taps outside must not add
  uint32_t *base = nullptr;    // planes and bytes: [group][blocked outputs], what does not depend on the image
  float *bias = nullptr;       // real: [group][blocked outputs]
  Direct direct;

  int64_t taps() const { return window.taps(); }
  int64_t weights_of_one() const { return taps() * inputs; }
  int64_t channels() const { return group * outputs; }
  bool depthwise() const { return group > 1 && inputs == 1 && outputs == 1; }
};

enum class Weights : uint8_t { none, bits, reals };

struct Operator;

struct Node {
  Bytes name;
  char *c_name = nullptr;
  const Operator *op = nullptr;
  const char *kernel = "";
  int32_t inputs[2] = {-1, -1}; // indices of values
  Weights weights = Weights::none;
  bool pooled = false; // a layer that ends with pooling
  Layer layer;
  Window pool;           // MaxPool and the pooled layer
  int64_t offset = 0;    // PixelInput
  int32_t group_end = 0; // the last of the nodes that run row by row with this one

  const Tensor *weight = nullptr, *bias = nullptr;
  const Tensor *tau = nullptr, *flip = nullptr, *scale = nullptr, *shift = nullptr; // one number a channel

  int32_t *taus = nullptr;                    // [channels rounded up], clamped so that a difference cannot overflow
  uint8_t *flips = nullptr;                   // [packed channels]
  float *scales = nullptr, *shifts = nullptr; // [channels]

  bool thresholded() const { return tau != nullptr; }
};

// What running a node takes: the value that it reads first, the one that it yields, and where both lie.
struct Call {
  const bnnt_session &session;
  const Node &node;
  const Value &x, &result;
  const uint8_t *from, *other; // other: what it reads second
  uint8_t *to;
  uint8_t *shared;    // the scratch that all parts read
  int64_t images = 1; // vectors of so many images lie behind each other, as the pixels of a row do

  template <class T> const T *in() const { return reinterpret_cast<const T *>(from); }
  template <class T> T *out() const { return reinterpret_cast<T *>(to); }
};

// Outputs [first, end) of a layer, where the first one is a multiple of Layer::apart.
struct Outputs {
  int64_t first, end;
};

// Rows [begin, end) of the value that a node yields. Scratch is the worker's own.
struct Part {
  int64_t begin, end;
  uint8_t *scratch;
  Outputs outputs; // of a layer; all of them where it has groups
};

// A parameter with one number for each channel: [C], or [C, 1, 1] for a value of rank 3.
struct Parameter {
  const char *key;
  int32_t type;
  const Tensor *Node::*tensor;
};

// How an operator's rows depend on those of its input.
enum class Rowwise : uint8_t {
  none,    // each on all: the value is one part
  parts,   // on others too, or on more than one value's memory: parts may go at the same time
  same,    // on the same row, whose elements are as large: the value may take its input's place
  smaller, // on the same row
};

struct Parts; // of a node of the file that is being read

// One operator of OPERATORS.md, whole: how it stands in the file, what it takes and yields, and what it does. Beside
// the table of these in operators.cpp nothing tells operators apart.
struct Operator {
  const char *domain, *name;
  int32_t values;                // earlier values that it reads
  unsigned kinds;                // of the first one, a bit each
  bool (*read)(Parts &, Node &); // attributes and tensors besides the parameters; null: none
  Parameter parameters[2];       // null keys behind the last
  bool (*infer)(Node &, const bnnt_session &, const Value &x, Value &result, Error &);
  void (*run)(const Call &, const Part &);
  Rowwise rowwise;
  void (*prepare)(const Call &); // once, before the rows; null: nothing
};

} // namespace bnnt

struct bnnt_session {
  bnnt::Node *nodes = nullptr;
  bnnt::Value *values = nullptr; // the input first, then one a node
  bnnt::Tensor *tensors = nullptr;
  int32_t node_count = 0, tensor_count = 0;
  int32_t next_tensor = 0; // while the file is read: where the next one should be
  const bnnt::Kernels *kernels = nullptr;
  uint8_t *buffers = nullptr; // all values
  // Of the node that runs: what all tasks of an image read, and room for each worker.
  uint8_t *shared_scratch = nullptr, *worker_scratch = nullptr;
  uint64_t shared_bytes = 0, worker_bytes = 0;
  int32_t images = 1; // computed together
  int32_t threads = 1;
  bnnt_parallel_for parallel_for = nullptr;
  void *context = nullptr;
  uint64_t memory_bytes = 0, hidden_bytes = 0;
  int32_t hidden = 0;
  bnnt::Bytes input_json;

  const bnnt::Value &output() const { return values[node_count]; }
  uint8_t *buffer(int32_t value) const { return buffers + values[value].offset; } // [images][bytes]
};
