"""Time the native engine, each kernel set of this CPU, beside other engines, and write docs/benchmarks.

    python -m bnn_toolchain.runtime.comparison [--rounds N] [--only NETWORK ...] [--out FOLDER] [--bench-python PYTHON]

Engines take turns in rounds on an otherwise idle machine. One thread is measured by its CPU time, two by the clock.
"""

from __future__ import annotations

import argparse
import platform
import re
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

from bnn_toolchain.runtime.comparison.engines import Engine, engines_for
from bnn_toolchain.runtime.comparison.networks import NETWORKS, network, repeats
from bnn_toolchain.runtime.comparison.page import rows_of, write_page
from bnn_toolchain.runtime.engines.lce.environment import LCE
from bnn_toolchain.runtime.targets.cache import build_kernel_programs
from bnn_toolchain.runtime.targets.target import host_target


def cpu_name() -> str:
    """As the system calls it, with the numbers that tell CPUs of one name apart."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    found = {
        key: re.search(rf"^{key}\s*: (.*)$", cpuinfo, re.MULTILINE) for key in ("model name", "cpu family", "model")
    }
    words = {key: match[1] for key, match in found.items() if match}
    if "model name" not in words:
        return platform.machine()
    return f"{words['model name']}, family {words.get('cpu family', '?')} model {words.get('model', '?')}"


def versions(bench_python: Path) -> str:
    """Of what is compared."""
    known = [f"{package} {metadata.version(package)}" for package in ("bnnt", "onnxruntime")]
    known += [f"larq-compute-engine {LCE}"]
    if bench_python.exists():
        for package in ("openvino", "ai-edge-litert", "executorch"):
            words: list[str | Path] = [
                bench_python,
                "-c",
                f"from importlib import metadata; print(metadata.version('{package}'))",
            ]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            known += [f"{package} {done.stdout.strip()}"] if done.returncode == 0 else []
    return ", ".join(known)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--bench-python", type=Path, default=Path(".venv-bench/bin/python"))
    arguments = parser.parse_args()
    results, missing = {}, set()
    for name in arguments.only:
        with tempfile.TemporaryDirectory(prefix="bnnt-") as folder:
            engines: list[Engine] = []
            for found in engines_for(network(name), Path(folder), arguments.bench_python.absolute()):
                if isinstance(found, str):
                    missing.add(found)
                else:
                    engines.append(found)
            for number in range(arguments.rounds):
                for engine in engines:
                    engine.take_round()
                print(f"\r{name}: round {number + 1} of {arguments.rounds}", end="", flush=True)
        print()
        results[name] = rows_of(engines, repeats(name))
        for row in results[name]:
            times = f"{row.median:12,.1f} µs, least {row.least:12,.1f}, {row.ratio:6.2f} x int8"
            print(f"  {row.engine:20} {row.threads} threads {times}")
    bench = subprocess.run(
        [build_kernel_programs(host_target()) / "kernel_bench"], capture_output=True, text=True, check=True
    )
    cpu = cpu_name()
    head = [
        cpu,
        f"{platform.system()}, {versions(arguments.bench_python)}; {arguments.rounds} interleaved rounds. One thread "
        "is measured by its CPU time, two by the clock; ratios are medians of the rounds' ratios.",
        "Networks are untrained; a single convolution is a sixteenth of a chain of sixteen, threshold included. "
        "ExecuTorch gets pixels that are normalised already.",
        *(f"Not measured: {reason}." for reason in sorted(missing)),
        "",
        "Kernels alone, and the peak of their instructions on registers:",
        "",
        "```",
        *bench.stdout.splitlines(),
        "```",
    ]
    slug = re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-")
    print(write_page(arguments.out, slug, head, results))


if __name__ == "__main__":
    main()
