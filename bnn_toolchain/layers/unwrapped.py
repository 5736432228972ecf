"""The module inside the wrappers of torch.compile and data parallelism: it is what is trained, saved and exported."""

from __future__ import annotations

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel


def unwrapped(module: nn.Module) -> nn.Module:
    """``module`` itself, or what its wrappers, however many, hold."""
    while (name := _inside(module)) is not None:
        module = module.get_submodule(name)
    return module


def plain_names(module: nn.Module) -> dict[str, str]:
    """Every name of the module's state dict, and that without the wrappers at any depth.

    For ``torch.compile(nn.Linear(2, 2))`` it is {"_orig_mod.weight": "weight", "_orig_mod.bias": "bias"}.
    """
    wrappers = [(path, name) for path, part in module.named_modules() if (name := _inside(part)) is not None]
    names = {}
    for full in module.state_dict():
        plain = full
        for path, name in reversed(wrappers):  # the inner ones first, whose paths hold the outer ones' names
            prefix = f"{path}." if path else ""
            if plain.startswith(f"{prefix}{name}."):
                plain = prefix + plain.removeprefix(f"{prefix}{name}.")
        names[full] = plain
    return names


def _inside(module: nn.Module) -> str | None:
    """The attribute that holds the wrapped module, None if ``module`` wraps none."""
    if isinstance(module, DataParallel | DistributedDataParallel):
        return "module"
    # the class that torch.compile yields is private, and its import takes two seconds: its one child tells it
    return "_orig_mod" if [name for name, _ in module.named_children()] == ["_orig_mod"] else None
