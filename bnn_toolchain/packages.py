"""The packages that parts of bnnt need, and the line that installs each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec

from bnn_toolchain.errors import Unavailable

IMPORTED_AS = {"PIL": "pillow", "yaml": "pyyaml"}  # where a module is not called as its package
REQUIREMENT = re.compile(r"([\w.-]+)([^;]*)(?:; *extra *== *[\"'](\w+)[\"'])?")


def install_line(module: str) -> str | None:
    """The command that installs what brings ``module``; None if it belongs to no package that bnnt asks for."""
    package = IMPORTED_AS.get(module, module).lower()
    for requirement in metadata.requires("bnnt") or ():
        parts = REQUIREMENT.fullmatch(requirement)
        if parts is not None and parts[1].lower() == package:
            return f"pip install 'bnnt[{parts[3]}]'" if parts[3] else f"pip install '{parts[1]}{parts[2]}'"
    return None


@contextmanager
def named_packages() -> Iterator[None]:
    """Makes an import that fails, of a package that bnnt asks for, an error that says what to install.

    Raises:
        Unavailable: the package is not installed, or cannot be imported.
    """
    try:
        yield
    except ImportError as error:
        module = (error.name or "").partition(".")[0]
        line = install_line(module)
        if line is None:
            raise
        if isinstance(error, ModuleNotFoundError):
            raise Unavailable(
                f"this needs {IMPORTED_AS.get(module, module)}, which is not installed: {line}"
            ) from error
        raise Unavailable(
            f"{module} is installed but cannot be imported ({error}): {line} --force-reinstall"
        ) from error


def require_extra(extra: str, *modules: str) -> None:
    """Whether ``modules``, which the ``extra`` of bnnt brings, are installed, without importing them.

    Raises:
        Unavailable: one is not.
    """
    for module in modules:
        if find_spec(module) is None:
            raise Unavailable(f"this needs {module}, which is not installed: pip install 'bnnt[{extra}]'")
