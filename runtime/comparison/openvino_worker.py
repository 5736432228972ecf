"""OpenVINO on one model, in an environment of its own: each line of stdin is answered by the times of a round."""

import json
import sys
import time

import numpy as np
import openvino

model, images, threads, seconds = sys.argv[1], np.load(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
core = openvino.Core()
compiled = core.compile_model(
    core.read_model(model),
    "CPU",
    {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False},
)
request = compiled.create_infer_request()
for _ in range(5):
    request.infer([images])
for _ in sys.stdin:
    times = []
    start = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        request.infer([images])
        times.append(((time.process_time_ns() - cpu) * 1e-9, (time.perf_counter_ns() - wall) * 1e-9))
    print(json.dumps(times), flush=True)
