"""Recipes: YAML files that become a typed :class:`Recipe`, with overrides and all errors at once."""

from __future__ import annotations

import copy
from pathlib import Path
from reprlib import Repr
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from bnn_toolchain.data.config import placed
from bnn_toolchain.errors import UsageError
from bnn_toolchain.files import SMALL_FILE, read_bounded
from bnn_toolchain.recipes import near, recipe_text
from bnn_toolchain.training.config import Recipe, Stage, Training

TrainingKind = TypeVar("TrainingKind", bound=Training)
Raw = dict[str, Any]
MOST_CHARACTERS = 1 << 14  # characters of a recipe: the parser takes a quarter of a second for them
SHORT = Repr()
SHORT.maxlevel, SHORT.maxstring, SHORT.maxother = 2, 200, 200
"""Shows values in messages: YAML's aliases can make a short file a value without end."""
NO_YAML = (yaml.YAMLError, ValueError, RecursionError)
"""What the parser raises: impossible dates and numbers of too many digits are a ValueError, deep nesting the last."""


PLACES = (("data", "path"), ("data", "train"), ("data", "test"), ("init_from",), ("distillation", "teacher"))
"""The fields that name files and folders."""


def load_recipe(name: str, overrides: list[str] | tuple[str, ...] = ()) -> Recipe:
    """A named recipe or a YAML file, with ``overrides`` such as ``optimizer.lr=3e-3`` or ``stages.1.epochs=5``.

    Relative paths in a file are seen from its folder, those in ``overrides`` from the working directory.

    Raises:
        UsageError: no such recipe, no valid YAML, or wrong fields: all of them in one message, each with its path.
    """
    is_file = name.endswith((".yaml", ".yml"))
    raw = copy.deepcopy(_mapping(_file(Path(name)) if is_file else recipe_text(name), name))
    if is_file:
        _place(raw, Path(name).parent)
    for override in overrides:
        path, separator, value = override.partition("=")
        if not separator or not path:
            raise UsageError(f"--set {override}: write FIELD=VALUE, for example optimizer.lr=3e-3")
        _refuse_hidden(raw, path.split("."), override)
        _set(raw, path.split("."), _parse(value, override), override)
    return validate(raw, Recipe, f"recipe {name}")


def validate(raw: Raw, kind: type[TrainingKind], name: str) -> TrainingKind:
    """A typed configuration; settings of a stage that stand at the top level are given to every stage.

    Raises:
        UsageError: wrong fields, all of them in one message.
    """
    single = "stages" not in raw
    common = {key: value for key, value in raw.items() if key in Stage.model_fields}
    stages = [{}] if single else raw["stages"]
    if isinstance(stages, list) and all(isinstance(stage, dict) for stage in stages):
        stages = [_merged(common, stage) for stage in stages]
    resolved = {key: value for key, value in raw.items() if key not in common} | {"stages": stages}
    try:
        return kind.model_validate(resolved)
    except ValidationError as error:
        known = _field_names(kind)
        # a tuple whose items are wrong counts as too short as well
        problems = [problem for problem in error.errors() if problem["type"] != "too_short" or not problem["input"]]
        lines = [_line(problem, resolved, known, single) for problem in problems]
        raise UsageError(f"{name}:\n" + "\n".join(f"  - {line}" for line in lines)) from error


def dump(training: Training) -> str:
    """The resolved configuration as YAML; :func:`validate` reads it back to an equal one."""
    return yaml.safe_dump(training.model_dump(mode="json"), sort_keys=False, width=120, explicit_end=True)


def read_dump(text: str, name: str) -> Training:
    """A :class:`Recipe` from its dump, or a :class:`Training` from that of a run of the user's own module.

    Raises:
        UsageError: it is neither, or its end is missing.
    """
    if not text.endswith("\n...\n"):
        raise UsageError(f"{name} is cut off: its last line must be '...'")
    raw = _mapping(text, name)
    return validate(raw, Recipe if "model" in raw else Training, name)


def _file(path: Path) -> str:
    try:
        return read_bounded(path, SMALL_FILE).decode()
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the recipe {path}: {error}") from error


def _mapping(text: str, name: str) -> Raw:
    if len(text) > MOST_CHARACTERS:
        raise UsageError(f"{name} has {len(text)} characters, more than {MOST_CHARACTERS}: it is no recipe")
    try:
        raw = yaml.safe_load(text)
    except NO_YAML as error:
        raise UsageError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict) or not all(isinstance(key, str) for key in raw):
        raise UsageError(f"{name} must hold fields with their values, not {type(raw).__name__}")
    return raw


def _place(raw: Raw, folder: Path) -> None:
    """See the relative paths of ``raw`` from ``folder``."""
    for *outer, last in PLACES:
        place: Any = raw
        for key in outer:
            place = place.get(key) if isinstance(place, dict) else None
        if isinstance(place, dict) and isinstance(place.get(last), str):
            place[last] = str(placed(place[last], folder))


def _parse(value: str, override: str) -> Any:
    # 3e-3 stays text here (YAML 1.1 wants 3.0e-3), and becomes a number where the field is one
    try:
        return yaml.safe_load(value)
    except NO_YAML as error:
        raise UsageError(f"--set {override}: the value is not valid YAML") from error


def _set(raw: Any, path: list[str], value: Any, override: str) -> None:
    key, *rest = path
    match raw:
        case list() if key.isdecimal() and int(key) < len(raw):
            index: Any = int(key)
        case dict():
            index = key
            if rest:
                raw.setdefault(key, {})
        case _:
            raise UsageError(f"--set {override}: there is no field '{key}' to set anything in")
    if rest:
        _set(raw[index], rest, value, override)
    else:
        raw[index] = value


def _refuse_hidden(raw: Raw, path: list[str], override: str) -> None:
    """A setting for all stages has no effect on a stage that has its own: say so instead of doing nothing."""
    if path[0] not in Stage.model_fields or not isinstance(raw.get("stages"), list):
        return
    for index, stage in enumerate(raw["stages"]):
        inner: Any = stage
        for key in path:
            inner = inner.get(key) if isinstance(inner, dict) else None
        if inner is not None:
            raise UsageError(f"--set {override}: stage {index} has its own: set stages.{index}.{'.'.join(path)}")


def _merged(common: Any, own: Any) -> Any:
    if isinstance(common, dict) and isinstance(own, dict):
        return common | {key: _merged(common.get(key), value) for key, value in own.items()}
    return own


def _line(problem: Any, resolved: Raw, known: set[str], single: bool) -> str:
    path: list[str] = []
    place: Any = resolved
    kind, last = "", problem["loc"][-1]
    for key in problem["loc"]:
        if (isinstance(place, dict) and key in place) or (
            isinstance(place, list | tuple) and isinstance(key, int) and key < len(place)
        ):
            place = place[key]
        elif problem["type"] != "missing" or key != last:
            kind = str(key)  # not the user's field, but the chosen kind of a union
            continue
        path.append(str(key))
    dotted = ".".join(path)
    dotted = dotted.removeprefix("stages.0").removeprefix(".") if single else dotted
    match problem["type"]:
        case "value_error":
            return f"{dotted}: {problem['ctx']['error']}" if dotted else str(problem["ctx"]["error"])
        case "extra_forbidden" if last in known and kind:
            return f"{dotted}: no field of {kind}"
        case "extra_forbidden":
            return f"{dotted}: no such field{near(str(last), known)}"
        case "missing":
            return f"{dotted}: is missing"
        case _:
            return f"{dotted}: {problem['msg']}, not {SHORT.repr(problem['input'])}"


def _field_names(kind: type[Training]) -> set[str]:
    schema = kind.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return {name for part in parts for name in part.get("properties", {})}
