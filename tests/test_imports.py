"""Who may import whom: the arrows of ARCHITECTURE.md. Imports inside functions and for type checkers count."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bnn_toolchain

ROOT = Path(__file__).parents[1]

BASE = "errors files input_spec packages progress"
GRAPH = f"{BASE} converters.graph converters.reference converters.rounding"
FILES = f"{GRAPH} converters converters.onnx converters.lce"
TRAINING = f"{BASE} recipes layers models data training"
BUNDLE = f"{FILES} runtime.targets runtime.bundle"
ENGINES = f"{BUNDLE} runtime.devices runtime.engines"
RUNTIME = f"{ENGINES} converters.cost runtime.checks runtime.contenders runtime.export"
PUBLIC = "api converters errors input_spec layers model_path prediction training"

# A part is a module or a folder with all below it; the longest that fits a module is its own.
MAY_IMPORT = {
    "": PUBLIC,
    "errors": "",
    "files": "",
    "progress": "",
    "packages": "errors",
    "input_spec": "errors",
    "recipes": "errors",
    "layers": BASE,
    "models": f"{BASE} layers",
    "data": BASE,
    "training": TRAINING,
    "study": f"{TRAINING} study",
    "converters": f"{GRAPH} converters.capture converters.passes converters.faithful",
    "converters.graph": BASE,
    "converters.reference": f"{BASE} converters.graph",
    "converters.rounding": "",
    "converters.probes": BASE,
    "converters.model_file": f"{BASE} converters.graph",
    "converters.cost": f"{GRAPH} converters.passes",
    "converters.passes": GRAPH,
    "converters.onnx": f"{GRAPH} converters.model_file",
    "converters.lce": f"{GRAPH} converters.model_file",
    "converters.capture": f"{GRAPH} layers",
    "converters.faithful": f"{GRAPH} converters.capture converters.probes",
    "runtime": "",
    "runtime.targets": BASE,
    "runtime.bundle": BUNDLE,
    "runtime.devices": f"{BASE} runtime.targets",
    "runtime.engines": ENGINES,
    "runtime.engines.torch": f"{ENGINES} layers training converters.capture",  # the trained module itself
    "runtime.checks": f"{ENGINES} runtime.checks",
    "runtime.contenders": f"{ENGINES} runtime.checks",
    "runtime.export": RUNTIME,
    "runtime.comparison": f"{ENGINES} runtime.checks runtime.comparison layers model_path converters",  # make bench
    "runtime.doctor": f"{RUNTIME} layers",
    "own_module": BASE,
    "model_path": f"{TRAINING} {BUNDLE}",
    "evaluation_images": f"{TRAINING} {RUNTIME}",
    "api": f"{TRAINING} {RUNTIME} study own_module model_path evaluation_images",
    "report": f"{TRAINING} {RUNTIME} evaluation_images report",
    "prediction": f"{BASE} model_path data {ENGINES}",
    "demo": f"{TRAINING} {RUNTIME} api report",
    "cli": f"{BASE} recipes api demo prediction report study training converters.cost runtime",
}


def module_names():
    """Every module's name inside the package, and its file."""
    for folder, prefix in (("bnn_toolchain", ""), ("converters", "converters"), ("runtime", "runtime")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join(part for part in (prefix, *parts) if part and part != "__init__"), path


MODULES = dict(module_names())


def part_of(module):
    return max((part for part in MAY_IMPORT if within(module, part)), key=len, default="")


def within(module, part):
    return module == part or (part != "" and module.startswith(f"{part}."))


def imports(path):
    """The modules of the package that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, inner = name.partition(".")
            if package == "bnn_toolchain":
                yield inner if inner in MODULES else inner.rpartition(".")[0]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_what_its_part_may(module):
    part = part_of(module)
    allowed = {part, *MAY_IMPORT[part].split()}
    wrong = {other for other in imports(MODULES[module]) if not any(within(other, a) for a in allowed)}
    assert not wrong, f"{module} imports {', '.join(sorted(wrong))}: see MAY_IMPORT and ARCHITECTURE.md"


def test_every_part_is_there_and_every_module_in_one():
    assert {part_of(module) for module in MODULES} == set(MAY_IMPORT)
    assert {name for names in MAY_IMPORT.values() for name in names.split()} <= set(MAY_IMPORT)


def test_importing_the_package_imports_nothing_of_it():
    code = (
        "import sys, bnn_toolchain; print([n for n in sys.modules if n.startswith('bnn_toolchain.') or n == 'numpy'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_the_package_offers_is_there():
    for name in dir(bnn_toolchain):
        assert getattr(bnn_toolchain, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bnn_toolchain.nothing
