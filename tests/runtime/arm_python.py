"""An aarch64 Python with numpy and onnxruntime in a folder, for an emulator: Debian's packages and two wheels.

Nothing of it is installed: apt keeps its lists and states in the folder too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from bnn_toolchain.files import cache_folder

ONNXRUNTIME, NUMPY = "1.23.2", "2.3.5"
SUITE = "bookworm"  # its Python is 3.11
PACKAGES = (
    *("libc6", "libgcc-s1", "libstdc++6", "gcc-12-base", "python3.11-minimal", "libpython3.11-minimal"),
    *("libpython3.11-stdlib", "zlib1g", "libexpat1", "libffi8", "libssl3", "libbz2-1.0", "liblzma5", "libcrypt1"),
    *("libuuid1", "libsqlite3-0", "libncursesw6", "libtinfo6", "libreadline8", "libdb5.3", "media-types"),
)
CORE = """processor\t: {number}
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""  # without one for each core of this machine onnxruntime crashes


def folder() -> Path:
    """The folder, filled once.

    Raises:
        OSError, subprocess.CalledProcessError: there is no apt or pip, or they reach nothing.
    """
    root = cache_folder() / f"arm-python-{SUITE}-{ONNXRUNTIME}-{NUMPY}"
    if not root.is_dir():
        making = root.with_name(f".{root.name}")
        shutil.rmtree(making, ignore_errors=True)
        _unpack_debian(making)
        _unpack_wheels(making)
        (making / "proc").mkdir()
        cores = "".join(CORE.format(number=number) for number in range(os.cpu_count() or 1))
        (making / "proc" / "cpuinfo").write_text(cores)
        shutil.rmtree(making / "apt")
        making.rename(root)
    return root


def _unpack_debian(root: Path) -> None:
    apt = root / "apt"
    for name in ("lists/partial", "archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    options = [
        *("-o", "APT::Architecture=arm64", "-o", "APT::Architectures=arm64", "-o", f"Dir::State={apt}"),
        *("-o", f"Dir::State::status={apt}/status", "-o", f"Dir::State::lists={apt}/lists"),
        *("-o", f"Dir::Cache={apt}", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="),
        *("-o", f"Dir::Cache::archives={apt}/archives", "-o", "APT::Sandbox::User=root"),
    ]
    subprocess.run(["apt-get", *options, "-qq", "update"], check=True, capture_output=True)
    subprocess.run(["apt-get", *options, "-qq", "download", *PACKAGES], check=True, capture_output=True, cwd=apt)
    for package in sorted(apt.glob("*.deb")):
        subprocess.run(["dpkg", "-x", package, root], check=True, capture_output=True)


def _unpack_wheels(root: Path) -> None:
    wheels = root / "apt" / "wheels"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version=3.11",
    ]
    command += ["--platform=manylinux_2_28_aarch64", "--platform=manylinux_2_27_aarch64", "-d", str(wheels)]
    subprocess.run([*command, f"onnxruntime=={ONNXRUNTIME}", f"numpy=={NUMPY}"], check=True, capture_output=True)
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root / "site")
