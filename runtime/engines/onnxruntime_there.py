"""Stock ONNX Runtime on a device: a program for the device's own Python, which needs numpy and onnxruntime there.

It stands alone, since nothing of bnnt is on a device: it runs a model on images, or times it, on one thread.

    SCRIPT MODEL.onnx IMAGES.npy LOGITS.npy
    SCRIPT MODEL.onnx IMAGES.npy --bench SECONDS RUNS SAMPLES.npy [CORE]
"""

import json
import os
import sys
import time
from importlib import import_module

WARM_UP = 10  # runs


def main(words: list[str]) -> None:
    """Do what ``words`` say, and print one JSON document."""
    import numpy as np

    onnxruntime = import_module("onnxruntime")
    model, images_file, *rest = words
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    images = np.load(images_file, allow_pickle=False)
    if rest[0] == "--bench" and len(rest) > 4:
        os.sched_setaffinity(0, {int(rest[4])})
    start = time.perf_counter_ns()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    load = time.perf_counter_ns() - start
    feed = {session.get_inputs()[0].name: images}
    if rest[0] == "--bench":
        for _ in range(WARM_UP):
            session.run(None, feed)
        samples: list[tuple[int, int]] = []
        start = time.perf_counter_ns()
        while len(samples) < int(rest[2]) or time.perf_counter_ns() - start < float(rest[1]) * 1e9:
            cpu, wall = time.process_time_ns(), time.perf_counter_ns()
            session.run(None, feed)
            wall = time.perf_counter_ns() - wall
            samples.append((time.process_time_ns() - cpu, wall))
        np.save(rest[3], np.array(samples, np.uint64), allow_pickle=False)
    else:
        np.save(rest[0], np.asarray(session.run(None, feed)[0]), allow_pickle=False)
    print(json.dumps({"version": onnxruntime.__version__, "load_us": load / 1e3}))


if __name__ == "__main__":
    main(sys.argv[1:])
