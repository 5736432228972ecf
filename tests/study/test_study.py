"""The whole command on a tiny recipe."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from bnn_toolchain.errors import UsageError
from bnn_toolchain.input_spec import InputSpec
from bnn_toolchain.layers import BinaryLinear, Sign
from bnn_toolchain.study.outcome import Outcome, positive_share
from bnn_toolchain.study.questions import Expectation, Measure, QuestionName, question_of
from bnn_toolchain.study.recipes import base_of, key_of, recipe_of
from bnn_toolchain.study.study import SWEEP_SEED, Compared, Study, Trial, study
from bnn_toolchain.study.verdict import target_of, verdicts
from bnn_toolchain.training.metrics import Epoch
from tests.cli.command import bnnt, refused

QUESTION = "init-from-float"
# Ctrl-C is listened to, which a shell's background jobs ignore, and so would their children
LISTEN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
STUDY = (sys.executable, "-c", f"{LISTEN}\nfrom bnn_toolchain.cli import main; main()", "study")


def rows(folder):
    with (folder / "table.csv").open() as file:
        return list(csv.DictReader(file))


class Held:
    """The command in a process group of its own, once it has come to the run ``at`` of the first sweep.

    A worker that opens its log waits there until somebody reads it, since the log is a pipe: so the study cannot end
    before the test has done with it.
    """

    def __init__(self, recipe, out, at):
        question = question_of(QuestionName(QUESTION))
        setting = question.settings[0]
        run = key_of(recipe_of(base_of(question.network, recipe, "small"), setting, setting.rates[at], SWEEP_SEED))
        self.log = out / "runs" / f"{run}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(self.log)
        before = [*out.glob("runs/*/outcome.json")]
        self.process = subprocess.Popen(
            [*STUDY, QUESTION, "--recipe", recipe, "--out", str(out), "--jobs", "1"],
            start_new_session=True,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        runs = 1 + at  # the float network comes first
        while len([*out.glob("runs/*/outcome.json")]) < runs:
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.01)
        assert len(before) < runs

    def end(self, send, number):
        """The exit code and what was said, after ``send`` (os.kill or os.killpg) has sent the signal."""
        send(self.process.pid, number)
        said = self.process.communicate()[1]
        self.log.unlink()
        return self.process.returncode, said


@pytest.fixture(scope="module")
def asked(recipe, tmp_path_factory):
    """A study that was killed, interrupted, and then finished; with when its first runs were written."""
    out = tmp_path_factory.mktemp("study") / "out"
    assert Held(recipe, out, at=1).end(os.kill, signal.SIGKILL)[0] == -signal.SIGKILL
    first = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/outcome.json")}
    interrupted = Held(recipe, out, at=2).end(os.killpg, signal.SIGINT)  # as Ctrl-C in a terminal
    finished = bnnt("study", QUESTION, "--recipe", recipe, "--out", out, "--jobs", "2", "--json")
    assert finished.returncode == 0, finished.stderr
    return out, first, interrupted, json.loads(finished.stdout)


def test_a_study_goes_on_where_it_was_killed_and_repeats_nothing(asked):
    first = asked[1]
    assert len(first) == 2
    assert all(path.stat().st_mtime_ns == when for path, when in first.items())


def test_ctrl_c_ends_it_with_one_line(asked):
    code, said = asked[2]
    assert code == 130 and "the same command goes on" in said and "Traceback" not in said


def test_the_table_has_a_line_a_run(asked):
    out = asked[0]
    table = rows(out)
    assert len(table) == len({row["run"] for row in table}) == len(list(out.glob("runs/*/outcome.json")))
    for setting in ("from random weights", "from the float network"):
        sweep, seeds = (
            [r for r in table if r["role"] == role and r["setting"] == setting] for role in ("sweep", "seed")
        )
        assert len(sweep) >= 3 and {row["seed"] for row in sweep} == {"0"}
        assert sorted(row["seed"] for row in seeds) == ["1", "2", "3"]
        best = max(sweep, key=lambda row: float(row["validation_accuracy"]))
        assert {row["learning_rate"] for row in seeds} == {best["learning_rate"]}
    assert [row["setting"] for row in table if row["role"] == "float"] == ["float"]


def test_the_summary_is_that_of_the_table(asked):
    out, _, _, printed = asked
    assert printed == json.loads((out / "summary.json").read_text())
    for each in printed["settings"]:
        accuracies = [
            float(r["test_accuracy"]) for r in rows(out) if r["role"] == "seed" and r["setting"] == each["setting"]
        ]
        assert each["test_accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
        assert each["test_accuracy"]["low"] <= np.mean(accuracies) <= each["test_accuracy"]["high"]


def test_the_report_has_the_claim_the_verdict_and_the_figure(asked):
    out = asked[0]
    text = (out / "report.md").read_text()
    for words in (question_of(QuestionName(QUESTION)).claim, "bnnt study init-from-float", "figure.svg", "seed 0"):
        assert words in text
    figure = (out / "figure.svg").read_text()
    assert len(figure) < 100_000 and "from the float network" in figure and "dc:date" not in figure


def test_a_finished_study_needs_no_runs_and_writes_the_same(asked, recipe):
    out = asked[0]
    before = {name: (out / name).read_bytes() for name in ("table.csv", "figure.svg", "report.md", "summary.json")}
    started_at = time.time()
    process = bnnt("study", QUESTION, "--recipe", recipe, "--out", out)
    assert process.returncode == 0, process.stderr
    assert before == {name: (out / name).read_bytes() for name in before}
    assert all(path.stat().st_mtime < started_at for path in out.glob("runs/*/outcome.json"))


def test_a_recipe_with_no_test_images(recipe, tmp_path):
    settings = f"data: {{source: parquet, train: {recipe.replace('recipe.yaml', 'train.parquet')}}}\n"
    rest = "model: {name: mlp, hidden: 8}\nepochs: 2\noptimizer: {lr: 0.01}\n"
    (tmp_path / "r.yaml").write_text(settings + rest)
    command = ("study", QUESTION, "--recipe", tmp_path / "r.yaml", "--out", tmp_path / "o")
    refused(bnnt(*command), 2, "data.test: is missing")
    table = pq.read_table(recipe.replace("recipe.yaml", "test.parquet"))
    pq.write_table(table.slice(0, 0), tmp_path / "empty.parquet")
    (tmp_path / "r.yaml").write_text(settings.replace("}\n", f", test: {tmp_path / 'empty.parquet'}}}\n") + rest)
    refused(bnnt(*command), 2, "empty")
    assert not (tmp_path / "o").exists()


def test_two_studies_do_not_share_a_folder(recipe, tmp_path):
    other = Held(recipe, tmp_path / "out", at=0)
    with pytest.raises(UsageError, match="another study is at work in"):
        study(QuestionName.INIT_FROM_FLOAT, tmp_path / "out", recipe=recipe)
    other.end(os.kill, signal.SIGINT)


def test_too_few_seeds(recipe, tmp_path):
    with pytest.raises(UsageError, match="at least 3"):
        study(QuestionName.INIT_FROM_FLOAT, tmp_path, recipe=recipe, seeds=2)


def test_the_share_is_that_of_what_binary_layers_read():
    class Pool(nn.Module):
        def forward(self, x):
            return nn.functional.max_pool1d(x[:, None], 2)[:, 0]

    torch.manual_seed(0)
    read = []
    model = nn.Sequential(nn.Flatten(), BinaryLinear(16, 40), Sign(), Pool(), BinaryLinear(20, 3)).eval()
    model[4].register_forward_pre_hook(lambda _module, inputs: read.append(inputs[0]))
    images = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 1), np.uint8)
    share = positive_share(model, images, InputSpec(4, 4, 1, (1 / 128,), (128.0,), ("a", "b", "c")))
    assert share == pytest.approx(float((read[0] == 1).float().mean())) and share > 0.6


def compared(name, *accuracies, epochs=(0.5, 0.9), rate=0.1):
    question = question_of(QuestionName.CLIPPING)
    setting = next(each for each in question.settings if each.name == name)
    metrics = tuple(Epoch(n, 0, 1, 1, v, 0, {}, {}, 0.1, 2.0) for n, v in enumerate(epochs, 1))
    trials = tuple(
        Trial("seed", name, 0.1, seed, "k", Outcome("", accuracy, 0.9, 2, 2, 1.0, None), metrics)
        for seed, accuracy in enumerate(accuracies, 1)
    )
    sweep = tuple(replace(trials[0], role="sweep", rate=rate) for rate in (0.01, 0.1, 1.0))
    return Compared(setting, sweep, rate, trials)


def verdict_of(first, second):
    question = question_of(QuestionName.CLIPPING)
    found = Study(question, base_of(question.network, None, "small"), (first, second), None)
    return target_of(found), verdicts(found)


def test_verdicts():
    clipped = compared("all clips", 0.93, 0.94, 0.935, epochs=(0.5, 0.7, 0.9))
    target, (accuracy, epochs) = verdict_of(clipped, compared("no clip", 0.90, 0.91, 0.905))
    assert target == 0.873
    assert accuracy.expectation == Expectation("all clips", "no clip") and accuracy.outcome == "agrees"
    assert epochs.expectation.measure is Measure.EPOCHS and epochs.outcome == "agrees"
    assert epochs.difference.mean == 1 and "all runs of a setting being alike" in epochs.words
    _, (accuracy, _) = verdict_of(clipped, compared("no clip", 0.96, 0.961, 0.959))
    assert accuracy.outcome == "disagrees"
    _, (accuracy, epochs) = verdict_of(clipped, compared("no clip", 0.90, 0.96, 0.93, epochs=(0.5, 0.6)))
    assert accuracy.outcome == "undecided" and "the interval includes 0" in accuracy.words
    assert epochs.outcome == "undecided" and epochs.difference is None
    assert "no verdict, 3 of 3 runs against 0 of 3 reached the target, p = " in epochs.words


def test_runs_that_miss_the_target_come_after_all_others():
    accuracies = [0.93 + n / 1000 for n in range(6)]
    reached = compared("all clips", *accuracies, epochs=(0.5, 0.9))
    missed = compared("no clip", *accuracies, epochs=(0.5, 0.6))
    _, (_, epochs) = verdict_of(reached, missed)
    assert epochs.outcome == "disagrees" and "6 of 6 runs against 0 of 6 reached the target, p = 0.00" in epochs.words
    _, (_, epochs) = verdict_of(replace(missed, setting=reached.setting), replace(reached, setting=missed.setting))
    assert epochs.outcome == "agrees" and "0 of 6 runs against 6 of 6" in epochs.words
    _, (_, epochs) = verdict_of(missed_once(reached), missed_once(replace(reached, setting=missed.setting)))
    assert epochs.outcome == "undecided" and "5 of 6 runs against 5 of 6 reached the target, p = 1 by" in epochs.words
    _, (_, epochs) = verdict_of(reached, replace(missed, rate=1.0))
    assert epochs.outcome == "undecided" and "'no clip' may do better beyond the rates" in epochs.words


def missed_once(compared):
    first, *others = compared.trials
    return replace(compared, trials=(replace(first, epochs=first.epochs[:1]), *others))


def test_no_verdict_on_a_setting_whose_sweep_ended_too_early():
    clipped, unclipped = (0.93, 0.94, 0.935), (0.90, 0.91, 0.905)
    _, (accuracy, _) = verdict_of(compared("all clips", *clipped), compared("no clip", *unclipped, rate=1.0))
    assert accuracy.outcome == "undecided" and "'no clip' may do better beyond the rates" in accuracy.words
    _, (accuracy, _) = verdict_of(compared("all clips", *clipped, rate=0.01), compared("no clip", *unclipped))
    assert accuracy.outcome == "agrees"  # what is better already may be better still
