"""LiteRT on one model, in an environment of its own: each line of stdin is answered by the times of a round."""

import json
import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter

model, images, threads, seconds = sys.argv[1], np.load(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
interpreter = Interpreter(model_path=model, num_threads=threads)
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
for _ in range(5):
    interpreter.invoke()
for _ in sys.stdin:
    times = []
    start = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        interpreter.invoke()
        times.append(((time.process_time_ns() - cpu) * 1e-9, (time.perf_counter_ns() - wall) * 1e-9))
    print(json.dumps(times), flush=True)
