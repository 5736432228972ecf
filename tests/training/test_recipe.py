import typing
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from bnn_toolchain.errors import UsageError
from bnn_toolchain.layers import Gradient
from bnn_toolchain.recipes import recipe_names, recipe_text
from bnn_toolchain.training.config import Recipe
from bnn_toolchain.training.recipe import PLACES, dump, load_recipe, read_dump

BASE = {
    "data": {"source": "mnist5k"},
    "model": {"name": "mlp"},
    "epochs": 3,
    "optimizer": {"lr": 0.01},
}


def recipe(tmp_path, overrides=(), **fields):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**BASE, **fields}))
    return load_recipe(str(path), overrides)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_package_is_valid_and_says_what_it_does(name):
    loaded = load_recipe(name)
    assert read_dump(dump(loaded), name) == loaded
    assert recipe_text(name).startswith(f"# bnnt train {name}\n# ")


def test_the_recipes_that_there_must_be():
    assert {"digits", "mnist-mlp", "cifar10-vgg", "cifar10-vgg-quarter"} <= set(recipe_names())


def test_settings_at_the_top_are_those_of_every_stage(tmp_path):
    loaded = recipe(
        tmp_path,
        weight_gradient="plain",
        stages=[{"latent_clip": False}, {"epochs": 5, "optimizer": {"lr": 0.001}, "weight_gradient": "clipped"}],
        optimizer={"lr": 0.01, "beta2": 0.9},
    )
    first, second = loaded.stages
    assert (first.epochs, first.latent_clip, first.weight_gradient, first.optimizer.lr) == (
        3,
        False,
        Gradient.PLAIN,
        0.01,
    )
    assert (second.epochs, second.latent_clip, second.weight_gradient) == (5, True, Gradient.CLIPPED)
    assert (second.optimizer.lr, second.optimizer.beta2) == (0.001, 0.9)


def test_beta2_is_099_unless_said(tmp_path):
    assert recipe(tmp_path).stages[0].optimizer.beta2 == 0.99


@pytest.mark.parametrize("text", ["3e-3", "0.003", "3.0e-3"])
def test_overrides_read_numbers_as_people_write_them(tmp_path, text):
    loaded = recipe(tmp_path, [f"optimizer.lr={text}", "augment.flip=true", "model.hidden=64"])
    assert loaded.stages[0].optimizer.lr == 0.003
    assert loaded.augment.flip is True and loaded.model.hidden == 64


def test_overrides_reach_into_stages(tmp_path):
    loaded = recipe(tmp_path, ["stages.1.epochs=7"], stages=[{}, {"epochs": 2}])
    assert [stage.epochs for stage in loaded.stages] == [3, 7]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lr", r"write FIELD=VALUE"),
        ("epochs=9", r"stage 1 has its own: set stages\.1\.epochs"),
        ("stages.5.epochs=1", r"no field '5'"),
        ("seed.x=1", r"seed: Input should be a valid integer"),
        ("seed=[", r"not valid YAML"),
    ],
)
def test_overrides_that_cannot_work(tmp_path, override, message):
    with pytest.raises(UsageError, match=message):
        recipe(tmp_path, [override], stages=[{}, {"epochs": 2}])


def test_all_errors_come_together_with_their_paths(tmp_path):
    with pytest.raises(UsageError) as caught:
        recipe(
            tmp_path,
            optimizer={"lr": "fast", "beta_2": 0.9},
            epochs=0,
            model={"name": "vgg", "stages": [[8, "wide"]]},
            data={"source": "folder"},
            batchsize=3,
        )
    message = str(caught.value)
    lines = {line.split(":")[0].removeprefix("  - ") for line in message.splitlines()[1:]}
    assert lines == {"optimizer.lr", "optimizer.beta_2", "epochs", "model.stages.0.1", "data.path", "batchsize"}
    assert "not 'fast'" in message and "did you mean 'beta2'?" in message and "did you mean 'batch_size'?" in message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": {"lr": 0.1, "beta2": 1.0}}, r"optimizer\.beta2: Input should be less than 1, not 1\.0"),
        ({"optimizer": {"lr": float("nan")}}, r"optimizer\.lr: "),
        ({"optimizer": {"lr": float("inf")}}, r"optimizer\.lr: "),
        ({"optimizer": {"lr": -1}}, r"optimizer\.lr: .* greater than 0"),
        ({"stages": []}, r"stages: "),
        ({"stages": 3}, r"stages: "),
        ({"stages": [{"epochs": "x"}, 3]}, r"stages"),
        ({"model": {"name": "resnet"}}, r"model: .*'mlp'"),
        ({"data": {"source": "imagenet"}}, r"data: .*'mnist5k'"),
        ({"data": {}}, r"data: "),
        ({"loss": "hinge"}, r"loss: .*'squared_hinge'"),
    ],
)
def test_wrong_values(tmp_path, fields, message):
    with pytest.raises(UsageError, match=message):
        recipe(tmp_path, **fields)


def test_an_unknown_recipe_suggests_the_near_one():
    with pytest.raises(UsageError, match=r"no recipe 'digit' \(did you mean 'digits'\?\): give a YAML file or one of "):
        load_recipe("digit")


BOMB = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" if n else "a0: &a0 [x, x]\n" for n in range(60)) + "seed: *a59"
"""2^60 elements, for who counts them."""


def test_files_that_are_no_recipes(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read the recipe .*none\.yaml"):
        load_recipe(str(tmp_path / "none.yaml"))
    path = tmp_path / "bad.yaml"
    for content, message in (
        (b"a: [", "not valid YAML"),
        (b"- 1", "must hold fields"),
        (b"\xff\xfe\x80", "cannot read"),
        (b"seed: 2026-13-45", "not valid YAML"),
        (b"seed: " + b"9" * 5000, "not valid YAML"),
        (b"seed: " + b"[" * 10_000, "not valid YAML"),
        (b"seed: " + b"[" * 100_000, "has 100006 characters, more than 16384"),
        (b"seed: &a [*a]", "seed: Input should be a valid integer"),
        (BOMB.encode(), "seed: Input should be a valid integer"),
    ):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=message):
            load_recipe(str(path))
    path.write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(UsageError, match="not valid YAML"):
        load_recipe(str(path))


def test_the_dump_is_complete(tmp_path):
    loaded = recipe(tmp_path)
    assert isinstance(read_dump(dump(loaded), "x"), Recipe)
    assert yaml.safe_load(dump(loaded))["stages"][0]["optimizer"] == {
        "name": "adam",
        "lr": 0.01,
        "beta2": 0.99,
        "momentum": 0.9,
        "weight_decay": 0.0,
    }


def test_relative_paths_are_seen_from_the_recipe(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", "/home/somebody")
    fields = {"init_from": "runs/float", "distillation": {"teacher": "~/teacher"}}
    loaded = recipe(tmp_path, data={"source": "folder", "path": "../photos"}, **fields)
    assert loaded.data.path == tmp_path / ".." / "photos" and loaded.init_from == tmp_path / "runs" / "float"
    assert loaded.distillation.teacher == Path("/home/somebody/teacher")
    assert read_dump(dump(loaded), "x") == loaded
    overridden = recipe(tmp_path, ["data.path=photos"], data={"source": "folder", "path": "../photos"})
    assert overridden.data.path == tmp_path / "elsewhere" / "photos"
    monkeypatch.chdir(tmp_path)
    tables = load_recipe("mine.yaml", ["data={source: parquet, train: ~/train.parquet, test: /test.parquet}"]).data
    assert (tables.train, tables.test) == (Path("/home/somebody/train.parquet"), Path("/test.parquet"))
    unknown = recipe(tmp_path, data={"source": "folder", "path": "~nobody-by-this-name/photos"}).data.path
    assert unknown == tmp_path / "~nobody-by-this-name" / "photos"


def parts_of(annotation):
    """The types in an annotation."""
    inner = typing.get_args(annotation)
    return {part for each in inner for part in parts_of(each)} if inner else {annotation}


def paths_in(kind, outer=()):
    """The fields of a model, and of those in it, that hold paths."""
    found = set()
    for name, field in kind.model_fields.items():
        for part in parts_of(field.annotation):
            if part is Path:
                found.add((*outer, name))
            elif isinstance(part, type) and issubclass(part, BaseModel):
                found |= paths_in(part, (*outer, name))
    return found


def test_every_path_of_a_recipe_is_known():
    assert paths_in(Recipe) == set(PLACES)


def test_size_and_fit_go_together(tmp_path):
    folder = {"source": "folder", "path": "photos"}
    data = recipe(tmp_path, data={**folder, "size": 32, "fit": "crop"}).data
    assert (data.size, data.fit) == ((32, 32), "crop")
    assert recipe(tmp_path, ["data.size=[24, 32]", "data.fit=pad"], data=folder).data.size == (24, 32)
    for fields in ({"size": 32}, {"fit": "pad"}):
        with pytest.raises(UsageError, match="data: size and fit go together: give both, fit as crop, pad or stretch"):
            recipe(tmp_path, data={**folder, **fields})
    with pytest.raises(UsageError, match=r"data\.fit: .*'crop', 'pad' or 'stretch', not 'squash'"):
        recipe(tmp_path, data={**folder, "size": 32, "fit": "squash"})
    with pytest.raises(UsageError, match=r"data\.size\.0: .* greater than 0"):
        recipe(tmp_path, data={**folder, "size": [0, 4], "fit": "pad"})
