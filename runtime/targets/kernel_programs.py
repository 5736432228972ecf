"""Build the kernels' test and benchmark for a target, and print where they are.

    python -m bnn_toolchain.runtime.targets.kernel_programs                    # for this machine
    python -m bnn_toolchain.runtime.targets.kernel_programs arm64 cortex-a72   # for a board

``kernel_test`` compares every function of every kernel set that its CPU runs with plain loops; ``kernel_bench`` prints
their MAC per cycle. Each is one static file: copy it to the board and run it there.
"""

from __future__ import annotations

import sys

from bnn_toolchain.errors import BnntError
from bnn_toolchain.runtime.targets.cache import build_kernel_programs
from bnn_toolchain.runtime.targets.target import targets_from

if __name__ == "__main__":
    arguments = sys.argv[1:]
    if len(arguments) > 2 or any(argument.startswith("-") for argument in arguments):
        sys.exit(__doc__)
    name, cpu = arguments[0] if arguments else "host", arguments[1] if len(arguments) > 1 else None
    try:
        print(build_kernel_programs(targets_from([name], cpu)[0]))
    except BnntError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
