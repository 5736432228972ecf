"""One thread for every numeric library: tests run beside each other, and a few threads on a busy core take longer."""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
