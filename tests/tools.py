"""Programs that some tests need and a bare machine lacks: there these tests are skipped, and say what to install."""

import os
import shutil

import pytest


def needs(program: str, package: str) -> pytest.MarkDecorator:
    """Skips a test where ``program``, which Debian's ``package`` brings, is not there."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not here: apt install {package}")


QEMU = "qemu-aarch64-static"
needs_qemu = needs(QEMU, "qemu-user-static")
QEMU_X86 = "qemu-x86_64-static"
needs_qemu_x86 = needs(QEMU_X86, "qemu-user-static")
needs_clang = needs("clang++", "clang")
needs_compiler = needs("g++", "g++")
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")  # not on every user's path
NO_BOARD = "no sshd with ssh is here: apt install openssh-server"
has_board = bool(SSHD and shutil.which("ssh") and shutil.which("ssh-keygen"))
needs_sshd = pytest.mark.skipif(not has_board, reason=NO_BOARD)
