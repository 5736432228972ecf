"""The table of `make test-mutations` cannot rot: every line is still there, once, and every test exists."""

import subprocess
import sys

import pytest

from tests.mutations import MUTATIONS, ROOT, copy_sources, place, run_test


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.file}: {mutation.instead}")
def test_the_line_is_there_once(mutation):
    text, mutated = place(mutation)
    assert text != mutated


def test_every_test_is_there():
    tests = sorted({mutation.test for mutation in MUTATIONS})
    command = [sys.executable, "-m", "pytest", "-n0", "-q", "--collect-only", *tests]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_change_in_the_copy_is_what_its_tests_see(tmp_path):
    copy_sources(tmp_path)
    losses = tmp_path / "bnn_toolchain" / "training" / "losses.py"
    assert run_test(tmp_path, "tests/training/test_losses.py").returncode == 0
    losses.write_text(losses.read_text().replace(".square().mean()", ".mean()"))
    assert run_test(tmp_path, "tests/training/test_losses.py").returncode == 1
