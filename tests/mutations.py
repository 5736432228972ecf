"""Lines that are changed on purpose: each change must turn its test red, or the test proves nothing.

    make test-mutations

Each mutation is made in a copy of the sources; its test runs there before the change and after it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[1]
COPIED = ("bnn_toolchain", "converters", "runtime", "tests", "examples", "pyproject.toml")
FAILED = 1  # pytest's exit code where tests ran and failed; an import that breaks is another
TIMEOUT = 900  # seconds


@dataclass(frozen=True)
class Mutation:
    """A line of a file, without its indentation, what stands there instead, and the test that must turn red."""

    file: str
    line: str
    instead: str
    test: str


NATIVE, CONVERTERS, RUNTIME = "tests/native/test_", "tests/converters/test_", "tests/runtime/test_"
HERE = f"{NATIVE}kernels.py::test_every_set_that_this_cpu_runs"
A53, A76 = (
    f"{NATIVE}kernels.py::test_every_arm_set_on_an_emulated_cpu[{core}-{core}]" for core in ("cortex-a53", "cortex-a76")
)
KERNELS, LAYER = "runtime/native/kernels", "runtime/native/layer"

MUTATIONS = (
    # counters of bytes that are emptied too late
    Mutation(
        f"{KERNELS}/neon/disagreements.cpp",
        "constexpr size_t most_steps = 31; // of at most 8 bits each, before a byte of counts overflows",
        "constexpr size_t most_steps = 40;",
        A53,
    ),
    Mutation(
        f"{KERNELS}/avx2/dots.cpp",
        "constexpr size_t most_steps = 31; // of at most 8 bits each, before a byte of counts overflows",
        "constexpr size_t most_steps = 32;",
        HERE,
    ),
    # thresholds and flips
    Mutation(
        f"{KERNELS}/portable/threshold.cpp",
        "out[at] = static_cast<uint8_t>((static_cast<uint32_t>(bits) ^ flips[at]) & valid);",
        "out[at] = static_cast<uint8_t>(static_cast<uint32_t>(bits) & valid);",
        HERE,
    ),
    Mutation(
        f"{KERNELS}/portable/threshold.cpp",
        "const uint32_t valid = left >= 8 ? 0xff : (1u << left) - 1;",
        "const uint32_t valid = left >= 0 ? 0xff : 0;",
        HERE,
    ),
    Mutation(
        f"{KERNELS}/portable/threshold.cpp",
        "to[i] = to[i] > from[i] ? to[i] : from[i];",
        "to[i] = to[i] < from[i] ? to[i] : from[i];",
        HERE,
    ),
    # lookups: fields and bytes that overflow, leaks, padding behind a run, limits, borders
    Mutation(
        f"{KERNELS}/lookup/lookup.hpp",
        "template <class V> constexpr size_t most_steps = 255 / (V::lookups * V::index_bits);",
        "template <class V> constexpr size_t most_steps = 270 / (V::lookups * V::index_bits);",
        HERE,
    ),
    Mutation(
        f"{KERNELS}/lookup/layout.hpp",
        "tables.second[entries * a + i] = static_cast<uint8_t>(16 * count);",
        "tables.second[entries * a + i] = static_cast<uint8_t>(8 * count);",
        A76,
    ),
    Mutation(
        f"{KERNELS}/neon/lookup.cpp",
        "static constexpr size_t bytes = 16, index_bits = 5, lookups = 3;",
        "static constexpr size_t bytes = 16, index_bits = 5, lookups = 4;",
        A76,
    ),
    Mutation(
        f"{LAYER}/direct.cpp",
        "expand_pixels(zeros, zeros, before, line);",
        "__builtin_memset(line, 0, before * pixel);",
        f"{NATIVE}random_networks.py::test_one_program_chooses_by_the_core_and_gives_the_same",
    ),
    Mutation(
        "runtime/native/host/arm.cpp",
        "return cpus.count() > 0 && cores_of(cpus, parts) == cpus.count();",
        "return cpus.count() > 0;",
        f"{NATIVE}random_networks.py::test_one_program_chooses_by_the_core_and_gives_the_same",
    ),
    Mutation(
        f"{KERNELS}/avx2/lookup.cpp",
        "s = sub8(s, mask(shift_left_4(h), 0xf0f0));",
        "s = sub8(s, mask(shift_left_4(h), 0xf000));",
        HERE,
    ),
    Mutation(
        f"{KERNELS}/lookup/lookup.hpp",
        "const bool ends = rest > 0 && step + count == steps;",
        "const bool ends = rest > 1 && step + count == steps;",
        HERE,
    ),
    Mutation(
        f"{KERNELS}/avx2/lookup.cpp",
        "static Type high_factor() { return _mm256_set1_epi16(1 << 12); }",
        "static Type high_factor() { return _mm256_set1_epi16(1 << 11); }",
        HERE,
    ),
    Mutation(
        f"{KERNELS}/lookup/lookup.hpp",
        "for (int i = 1; i >= 0; --i) { // a spot of one pixel has a second one without meaning in the same place",
        "for (int i = 0; i < 2; ++i) {",
        HERE,
    ),
    Mutation(
        f"{KERNELS}/lookup/lookup.hpp",
        "even = part == 0 ? e : V::min16(even, e);",
        "even = e;",
        HERE,
    ),
    Mutation(
        f"{KERNELS}/lookup/tables.cpp",
        "__builtin_popcount(static_cast<unsigned>(a ^ i)) + 16 * __builtin_popcount(static_cast<unsigned>(b ^ i)));",
        "__builtin_popcount(static_cast<unsigned>(a ^ i)) + 16 * __builtin_popcount(static_cast<unsigned>(a ^ i)));",
        HERE,
    ),
    Mutation(
        f"{KERNELS}/neon/tile.hpp",
        "constexpr size_t most_steps = 31; // of at most 8 bits each, before a byte of counts overflows",
        "constexpr size_t most_steps = 32;",
        A53,
    ),
    # bytes: sums of 16 bits that are emptied too late, values behind a run
    Mutation(
        f"{KERNELS}/avx2/products.cpp",
        "constexpr size_t most_steps = 64; // of at most 2 * 255, before a sum of 16 bits overflows",
        "constexpr size_t most_steps = 65;",
        HERE,
    ),
    Mutation(
        f"{KERNELS}/portable/products.cpp",
        "constexpr size_t most_steps = 128; // of at most 255, before a sum of 16 bits overflows",
        "constexpr size_t most_steps = 129;",
        HERE,
    ),
    Mutation(
        f"{KERNELS}/neon/products.cpp",
        "constexpr size_t most_steps = 128; // of at most 2 * 255, before a sum of 16 bits overflows",
        "constexpr size_t most_steps = 129;",
        A53,
    ),
    # sums of reals: padding, the tile at a border; rows without weights
    Mutation(f"{KERNELS}/sums.hpp", "else if (layer.pad_counts)", "else if (!layer.pad_counts)", HERE),
    Mutation(
        f"{KERNELS}/sums.hpp",
        "return left >= 0 && left + reach < job.width;",
        "return left >= 0 && left < job.width;",
        HERE,
    ),
    Mutation(
        f"{KERNELS}/rows.hpp",
        "most[v] = a != a ? a : a > b ? a : b; // NaN stays",
        "most[v] = a > b ? a : b;",
        HERE,
    ),
    Mutation(
        f"{KERNELS}/avx2/byte_products.cpp",
        "odd[v] = _mm256_srai_epi16(w, 8);",
        "odd[v] = _mm256_srli_epi16(w, 8);",
        HERE,
    ),
    Mutation(f"{KERNELS}/rows.hpp", "repeated[0][i] = scales[i % channels];", "repeated[0][i] = scales[0];", HERE),
    Mutation(
        f"{KERNELS}/tiles.hpp",
        "for (; p + tile <= job.count; p += tile)",
        "for (; p + tile < job.count; p += tile)",
        HERE,
    ),
    # layers: padding, borders, planes, pooling
    Mutation(
        f"{LAYER}/run.cpp",
        "sums[c] -= tap_sums[c];",
        "sums[c] += tap_sums[c];",
        f"{NATIVE}layers.py::test_accumulators_of_bits",
    ),
    Mutation(
        f"{LAYER}/run.cpp",
        "fill(window.pads[0] * (row + sides));",
        "fill(window.pads[2] * (row + sides));",
        f"{NATIVE}layers.py::test_accumulators_of_bits",
    ),
    Mutation(
        f"{LAYER}/run.cpp",
        "for (int64_t at = begin + 1; at < right; ++at)",
        "for (int64_t at = begin + 2; at < right; ++at)",
        f"{NATIVE}layers.py::test_pooling_comes_before_the_threshold_and_the_flip",
    ),
    Mutation(
        f"{LAYER}/load.cpp",
        "const uint32_t ones = (uint32_t{1} << layer.planes) - 1;",
        "const uint32_t ones = (uint32_t{1} << layer.planes);",
        f"{NATIVE}layers.py::test_pixels_and_integers",
    ),
    Mutation(
        f"{LAYER}/method.cpp",
        "if (high - layer.low <= 0xff && padded > 0 && (!one_pixel || weights <= kernels.most_weights)) {",
        "if (high - layer.low <= 0x1ff && padded > 0 && (!one_pixel || weights <= kernels.most_weights)) {",
        f"{NATIVE}layers.py::test_pixels_and_integers",
    ),
    Mutation(
        f"{LAYER}/gather.cpp",
        "__builtin_memcpy(patches + r * run + i, from + r * run_step + i, gather_step);",
        "__builtin_memcpy(patches + r * run + i, from + r * run_step + i, gather_step / 4);",
        f"{NATIVE}layers.py::test_windows_of_short_rows_are_brought_together",
    ),
    # outputs of dense layers that workers share, several images, and parts of rows
    Mutation(
        f"{LAYER}/run.cpp",
        "dots.bases += dots.bases == nullptr ? 0 : first;",
        "dots.bases += 0;",
        f"{NATIVE}options.py::test_the_bytes_are_the_same_for_any_number_of_threads",
    ),
    Mutation(
        f"{LAYER}/direct.cpp",
        "const uint64_t first = g * wide(layer.outputs) + before, at = g * direct.arranged + before;",
        "const uint64_t first = g * wide(layer.outputs) + before, at = g * direct.arranged;",
        f"{NATIVE}options.py::test_the_bytes_are_the_same_for_any_number_of_images_together",
    ),
    Mutation(
        "runtime/native/model/run.cpp",
        "return part * (rows / parts) + (part < larger ? part : larger);",
        "return part * (rows / parts);",
        f"{NATIVE}options.py::test_the_bytes_are_the_same_for_any_number_of_threads",
    ),
    # direct convolutions: counts of 16 bits, borders, rows in pairs, the row that has no neighbour
    Mutation(
        "runtime/native/kernels/convolution.hpp",
        "constexpr int64_t most_window_bits = 0x7fff;",
        "constexpr int64_t most_window_bits = 0xffff;",
        f"{NATIVE}layers.py::test_windows_of_as_many_bits_as_counts_hold",
    ),
    Mutation(
        f"{LAYER}/direct.cpp",
        "const int64_t sum = sum_of_tap(layer, rows, o, tap);",
        "const int64_t sum = sum_of_tap(layer, rows, o, tap) + 2;",
        f"{NATIVE}layers.py::test_accumulators_of_bits",
    ),
    Mutation(
        f"{LAYER}/direct.cpp",
        "const int64_t limit = (base - node.taus[g * layer.outputs + o]) >> 1;",
        "const int64_t limit = (base - node.taus[g * layer.outputs + o] + 1) >> 1;",
        f"{NATIVE}layers.py::test_thresholds_at_accumulators_that_are_reached",
    ),
    # values that take each other's place, and the rows of a group
    Mutation(
        "runtime/native/model/plan.cpp",
        "return value.last_use < session.node_count ? session.nodes[value.last_use].group_end : value.last_use;",
        "return value.last_use;",
        f"{NATIVE}groups.py::test_rows_of_a_value_that_is_read_by_a_later_row",
    ),
    Mutation(
        "runtime/native/model/plan.cpp",
        "!head_reads(session, node, of.inputs[i]))",
        "true)",
        f"{NATIVE}groups.py::test_a_window_reads_what_is_added_later",
    ),
    # the meaning of the graph
    Mutation(
        "converters/reference/interpreter.py",
        "return np.where(x >= 0, np.float32(1), np.float32(-1))",
        "return np.where(x > 0, np.float32(1), np.float32(-1))",
        f"{CONVERTERS}onnx.py::test_every_operator_gives_the_bits_of_the_reference_where_no_sum_rounds",
    ),
    Mutation(
        "converters/reference/interpreter.py",
        "return np.where((x >= tau.astype(np.float32)) ^ flip, np.float32(1), np.float32(-1))",
        "return np.where((x > tau.astype(np.float32)) ^ flip, np.float32(1), np.float32(-1))",
        f"{NATIVE}layers.py::test_thresholds_at_accumulators_that_are_reached",
    ),
    Mutation(
        "converters/graph/ops.py",
        'return np.packbits(np.asarray(signs) < 0, axis=-1, bitorder="little")',
        'return np.packbits(np.asarray(signs) < 0, axis=-1, bitorder="big")',
        f"{NATIVE}layers.py::test_dense_layers",
    ),
    # lowering
    Mutation(
        "converters/passes/thresholds.py",
        "tau = np.where(constant, ALWAYS, above).astype(np.int32)",
        "tau = np.where(constant, ALWAYS, below).astype(np.int32)",
        f"{CONVERTERS}passes.py::test_thresholds_are_torchs_own_decisions",
    ),
    Mutation(
        "converters/passes/thresholds.py",
        "threshold = Threshold(tau, np.where(constant, ~end, start))",
        "threshold = Threshold(tau, np.where(constant, end, start))",
        f"{CONVERTERS}passes.py::test_thresholds_are_torchs_own_decisions",
    ),
    Mutation(
        "converters/passes/flatten.py",
        "return Gemm(np.ascontiguousarray(weight[:, order]), bias)",
        "return Gemm(np.ascontiguousarray(weight), bias)",
        f"{CONVERTERS}passes.py::test_flatten_permutes_everything_behind_it_once",
    ),
    # files
    Mutation(
        "converters/onnx/functions.py",
        "y = Where (positive, plus, minus)",
        "y = Where (reached, plus, minus)",
        f"{CONVERTERS}onnx.py::test_every_operator_gives_the_bits_of_the_reference_where_no_sum_rounds",
    ),
    Mutation(
        "converters/onnx/functions.py",
        "float_bits = Cast <to: int = 1> (used)",
        "float_bits = Cast <to: int = 1> (row)",
        f"{CONVERTERS}pinned.py::test_the_bytes_are_the_same_as_ever",
    ),
    Mutation(
        "converters/onnx/read.py",
        'raise FileFormatError("the bnnt functions in the file are not those of this format")',
        "pass",
        f"{CONVERTERS}onnx.py::test_a_name_in_a_functions_body_is_read",
    ),
    Mutation(
        "converters/lce/format/limits.py",
        "values = np.where(threshold.flip, tau - 1, -tau).astype(np.float32)",
        "values = np.where(threshold.flip, tau, -tau).astype(np.float32)",
        "tests/lce/test_agreement.py",
    ),
    # checks that must not be passed over
    Mutation(
        "runtime/export.py",
        "validate(bundle.graph, contenders, bundle.golden.images).check()",
        "validate(bundle.graph, contenders, bundle.golden.images)",
        f"{RUNTIME}bundle.py::test_an_engine_that_contradicts_lets_nothing_be_written",
    ),
    Mutation(
        "runtime/checks/validate.py",
        "beyond &= ~other_bits | wrong_bits  # a bit that is a near tie answers for the logits behind it",
        "beyond &= ~other_bits",
        f"{RUNTIME}judge.py",
    ),
    Mutation(
        "runtime/bundle/format.py",
        "if sha256(path) != file.sha256:",
        "if not file.sha256:",
        f"{RUNTIME}bundle.py::test_a_truncated_changed_or_missing_file_is_named",
    ),
    Mutation(
        "converters/faithful.py",
        "right = value == wanted",
        "right = np.abs(value - wanted) <= 2",
        f"{CONVERTERS}faithful.py::test_a_wrong_number_is_found_where_it_stands",
    ),
    # training
    Mutation(
        "bnn_toolchain/training/optimizers.py",
        'second = 0.99 if name in (*BETAS, "rmsprop", "adadelta") else None',
        'second = 0.999 if name in (*BETAS, "rmsprop", "adadelta") else None',
        "tests/training/test_optimizers.py",
    ),
    Mutation(
        "bnn_toolchain/training/losses.py",
        "return torch.clamp(1.0 - targets * logits, min=0.0).square().mean()",
        "return torch.clamp(1.0 - targets * logits, min=0.0).mean()",
        "tests/training/test_losses.py",
    ),
    Mutation(
        "bnn_toolchain/layers/sign.py",
        "beyond = 1.0 + torch.finfo(x.dtype).eps",
        "beyond = 1.0",
        "tests/layers/test_sign.py",
    ),
    Mutation(
        "bnn_toolchain/layers/latent.py",
        "weight.detach().clamp_(-1.0, 1.0)",
        "weight.detach().clamp_(-2.0, 2.0)",
        "tests/training/test_stages.py",
    ),
    Mutation(
        "bnn_toolchain/data/splits.py",
        "held = round(len(train) * VALIDATION)",
        "held = round(len(train) * VALIDATION) + 1",
        "tests/data/test_sources.py",
    ),
    Mutation(
        "bnn_toolchain/data/splits.py",
        "splits = Splits(train.take(slice(None, -held)), train.take(slice(-held, None)), test, spec, source, remarks)",
        "splits = Splits(train, train.take(slice(-held, None)), test, spec, source, remarks)",
        "tests/data/test_sources.py",
    ),
)


def place(mutation: Mutation, root: Path = ROOT) -> tuple[str, str]:
    """The file's text and the text with the mutation.

    Raises:
        ValueError: the line does not stand there exactly once.
    """
    text = (root / mutation.file).read_text(encoding="utf-8")
    lines = text.split("\n")
    places = [number for number, line in enumerate(lines) if line.strip() == mutation.line]
    if len(places) != 1:
        raise ValueError(f"{mutation.file} has the line {len(places)} times: {mutation.line}")
    line = lines[places[0]]
    lines[places[0]] = line[: len(line) - len(line.lstrip())] + mutation.instead
    return text, "\n".join(lines)


def copy_sources(folder: Path) -> None:
    """The sources, such that ``import bnn_toolchain`` finds them from ``folder``."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    for name in ("converters", "runtime"):  # as the installed package maps them
        (folder / "bnn_toolchain" / name).symlink_to(folder / name)


def run_test(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    """``test`` on the sources of ``folder``."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n0",
        "-x",
        "-p",
        "no:cacheprovider",
        "--hypothesis-profile=unshrunk",
        test,
    ]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


def skips_all(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether a test passed without running: a program that it needs is not here."""
    return done.returncode == 0 and " passed" not in done.stdout


def complaint_before(folder: Path, test: str) -> str:
    """Why ``test`` cannot judge a mutation here; empty if it passes as things are."""
    done = run_test(folder, test)
    if done.returncode != 0:
        return f"{test} fails without any change:\n{done.stdout[-2000:]}"
    return f"{test} is skipped here" if skips_all(done) else ""


def complaint_after(folder: Path, mutation: Mutation) -> str:
    """Why the mutation was not found; empty if its test fails with it."""
    text, mutated = place(mutation, folder)
    try:
        (folder / mutation.file).write_text(mutated, encoding="utf-8")
        done = run_test(folder, mutation.test)
    finally:
        (folder / mutation.file).write_text(text, encoding="utf-8")
    return "" if done.returncode == FAILED else f"{mutation.test} does not fail, but ends with {done.returncode}"


def main() -> int:
    """Try every mutation; how many were not found, or could not be tried here."""
    with tempfile.TemporaryDirectory(prefix="bnnt-mutations-") as temporary:
        folders: SimpleQueue[Path] = SimpleQueue()
        workers = min(4, os.cpu_count() or 1)
        for number in range(workers):
            folder = Path(temporary) / str(number)
            folder.mkdir()
            copy_sources(folder)
            folders.put(folder)

        def alone(attempt: Callable[[Path], str]) -> str:
            folder = folders.get()
            try:
                return attempt(folder)
            finally:
                folders.put(folder)

        lost = 0
        with ThreadPoolExecutor(workers) as pool:
            tests = sorted({mutation.test for mutation in MUTATIONS})
            before = dict(zip(tests, pool.map(lambda t: alone(lambda f: complaint_before(f, t)), tests), strict=True))
            complaints = pool.map(lambda m: before[m.test] or alone(lambda f: complaint_after(f, m)), MUTATIONS)
            for mutation, complaint in zip(MUTATIONS, complaints, strict=True):
                lost += bool(complaint)
                print(f"{'LOST ' if complaint else 'found'} {mutation.file}: {mutation.instead}", flush=True)
                if complaint:
                    print(f"      {complaint}", flush=True)
    print(f"{len(MUTATIONS) - lost} of {len(MUTATIONS)} mutations found")
    return lost


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
