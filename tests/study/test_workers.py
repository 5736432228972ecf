"""Processes that really run, die, and are asked again."""

import errno
import os
import signal
import threading
import time

import pytest

from bnn_toolchain.errors import CheckFailed, UsageError
from bnn_toolchain.study.outcome import outcome_file, read_outcome
from bnn_toolchain.study.workers import Job, workers
from bnn_toolchain.training.recipe import load_recipe


def job(recipe, folder, *settings):
    return Job(f"number {folder.name}", load_recipe(recipe, settings), folder)


def test_a_run_that_diverges_is_an_outcome_and_the_next_goes_on(recipe, tmp_path):
    first, second = job(recipe, tmp_path / "1", "optimizer.lr=1e38"), job(recipe, tmp_path / "2")
    done = []
    with workers(1) as pool:
        pool.perform([first], done.append)
        pool.perform([second], done.append)
        assert len(pool.started) == 1
    assert done == [first, second]
    diverged, fine = read_outcome(first.folder), read_outcome(second.folder)
    assert "the loss is" in diverged.diverged and diverged.validation_accuracy == 0
    assert not fine.diverged and fine.test_accuracy > 0.5 and 0.2 < fine.positive_share < 0.8
    assert "epoch   4/4" in second.log.read_text()


def test_a_worker_that_is_killed_is_named_and_finished_runs_stay(recipe, tmp_path):
    short, long = job(recipe, tmp_path / "short"), job(recipe, tmp_path / "long", "epochs=100000")

    def kill(pool):
        while not (long.folder / "metrics.jsonl").exists():
            time.sleep(0.01)
        os.kill(pool.started[0].process.pid, signal.SIGKILL)

    with workers(1) as pool:
        killer = threading.Thread(target=kill, args=(pool,), daemon=True)
        killer.start()
        with pytest.raises(CheckFailed, match=r"number long was killed by SIGKILL, .*memory.* finished runs stay"):
            pool.perform([short, long], lambda _: None)
        killer.join()
    assert outcome_file(short.folder).exists() and not outcome_file(long.folder).exists()


def test_what_a_run_raises_comes_back_as_it_was(recipe, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "recipe.yaml").write_text("foreign")
    with workers(1) as pool, pytest.raises(UsageError, match="not a run folder"):
        pool.perform([job(recipe, tmp_path / "1")], lambda _: None)


def test_a_full_disk_is_named(recipe, tmp_path):
    (tmp_path / "1.log").symlink_to("/dev/full")
    with workers(1) as pool, pytest.raises(OSError) as caught:
        pool.perform([job(recipe, tmp_path / "1")], lambda _: None)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(tmp_path / "1")
    assert not outcome_file(tmp_path / "1").exists()


def test_a_run_that_was_cut_off_before_it_began_starts_again(recipe, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "last.safetensors").write_bytes(b"half")
    with workers(1) as pool:
        pool.perform([job(recipe, tmp_path / "1")], lambda _: None)
    assert read_outcome(tmp_path / "1").epochs == 4
