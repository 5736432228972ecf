"""LCE's interpreter in a process of its own: ``python -I -S lce_worker.py ENVIRONMENT SECONDS``.

It imports nothing of bnnt. A message is a line of JSON and then the bytes that the line announces; arrays travel as raw
bytes. Requests: {"model": size, "threads", "reference", "indirect"} and {"run": count, "shape", "dtype"}.
Starting, loading a model and each image may take so many seconds; then SIGALRM ends the process, wherever it hangs.
"""

import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Answer requests until the pipe closes."""
    # The library may print; only answers belong on the pipe.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    environment, seconds = sys.argv[1], int(sys.argv[2])
    signal.alarm(seconds)
    sys.path.insert(0, environment)
    import numpy as np

    path = Path(environment, "larq_compute_engine", "tflite", "python", "interpreter_wrapper_lite.so")
    spec = importlib.util.spec_from_file_location("interpreter_wrapper_lite", path)
    assert spec is not None and spec.loader is not None
    library = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(library)
    model = None
    signal.alarm(0)

    while line := requests.readline():
        request = json.loads(line)
        signal.alarm(seconds)
        try:
            if "model" in request:
                data = requests.read(request["model"])
                flags = request["threads"], request["reference"], request["indirect"], False
                model = library.LiteInterpreter(data, *flags)
                arrays = []
            else:
                shape, dtype = request["shape"], np.dtype(request["dtype"])
                raw = requests.read(request["run"])
                arrays = run(np, model, np.frombuffer(raw, dtype).reshape(shape), seconds)
            answer: dict[str, Any] = {"arrays": [[a.dtype.str, list(a.shape)] for a in arrays]}
        except Exception as error:
            arrays, answer = [], {"error": f"{type(error).__name__}: {error}"}
        signal.alarm(0)
        answers.write(json.dumps(answer).encode() + b"\n")
        for array in arrays:
            answers.write(np.ascontiguousarray(array).data)
        answers.flush()


def run(np: Any, model: Any, inputs: Any, limit: int) -> list[Any]:
    """CPU and wall seconds of each image [N, 2], then every output, stacked: the file's batch is one image."""
    seconds, outputs = [], []
    for image in inputs:
        signal.alarm(limit)
        cpu, wall = time.process_time(), time.perf_counter()
        predicted = model.predict([image[None]])
        seconds.append((time.process_time() - cpu, time.perf_counter() - wall))
        outputs.append(predicted)
    return [np.array(seconds), *(np.concatenate(parts) for parts in zip(*outputs, strict=True))]


if __name__ == "__main__":
    main()
