"""One engine on one model, in an environment of its own: each line of stdin is answered by the times of a round.

worker.py ENGINE MODEL IMAGES.npy THREADS SECONDS
"""

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

engine, model, images, threads, seconds = sys.argv[1:]
pixels = np.load(images)
run: Callable[[], object]
if engine == "openvino":
    import openvino

    core = openvino.Core()
    hints = {"NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}
    compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_NUM_THREADS": int(threads), **hints})
    request = compiled.create_infer_request()

    run = partial(request.infer, [pixels])
elif engine == "executorch":
    import torch
    from executorch.extension.pybindings import portable_lib
    from executorch_twin import program

    portable_lib._unsafe_reset_threadpool(int(threads))
    normalised = torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32) / 128 - 1)  # of other values as fast
    inputs = (normalised.contiguous(memory_format=torch.channels_last),)
    data = program(Path(model), inputs)  # is read where it is
    loaded = portable_lib._load_for_executorch_from_buffer(data)
    run = partial(loaded.forward, inputs)
else:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=model, num_threads=int(threads))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
    run = interpreter.invoke
for _ in range(5):
    run()
for _line in sys.stdin:
    times: list[tuple[float, float]] = []
    start = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < float(seconds):
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        run()
        times.append(((time.process_time_ns() - cpu) * 1e-9, (time.perf_counter_ns() - wall) * 1e-9))
    print(json.dumps(times), flush=True)
