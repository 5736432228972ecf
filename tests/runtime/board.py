"""A real sshd on 127.0.0.1 with keys of its own, as a board that tests reach by the user's own ssh."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.tools import SSHD


@dataclass(frozen=True)
class Board:
    """One server; ``environment`` makes a process find it as the host "board"."""

    folder: Path  # everything of the server and of its client
    work: Path  # where bnnt may work "on the board"
    port: int
    server: subprocess.Popen[bytes]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "BNNT_DEVICES": str(self.folder / "devices.toml"),
        }

    def name(self, name: str, **settings: str) -> None:
        """Write an entry of the devices file."""
        entry = {"address": "board", "folder": str(self.work), **settings}
        with (self.folder / "devices.toml").open("a") as file:
            file.write(f"[{name}]\n" + "".join(f"{key} = '{value}'\n" for key, value in entry.items()))

    def configure(self, *lines: str) -> None:
        """Lines for the client's configuration of the host "board", before the usual ones: the first one counts."""
        config = self.folder / "ssh_config"
        config.write_text("Host board\n" + "".join(f"  {line}\n" for line in lines) + config.read_text())

    def sessions(self) -> list[int]:
        """The server's processes for connections, and all that these run."""
        children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                number, rest = stat.read_text().split(" ", 1)
                parent = int(rest.rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(number))
        found, waiting = [], [self.server.pid]
        while waiting:
            below = children.get(waiting.pop(), [])
            found += below
            waiting += below
        return found

    def cut(self) -> None:
        """Kill what serves the connections, as a cable that is pulled ends them."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                number, rest = stat.read_text().split(" ", 1)
                if int(rest.rpartition(")")[2].split()[1]) == self.server.pid:
                    os.kill(int(number), 9)


def start_board(folder: Path, path: str = "", *lines: str) -> Board:
    """A server in ``folder``; ``path`` stands in front of PATH there, ``lines`` in its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    work, programs = folder / "work", folder / "bin"
    programs.mkdir()
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host_key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    settings = (
        *lines,  # the first one counts
        "ListenAddress 127.0.0.1",
        f"Port {port}",
        f"HostKey {folder}/host_key",
        f"AuthorizedKeysFile {folder}/authorized_keys",
        f"SetEnv PATH={path + ':' if path else ''}{os.environ['PATH']}",
        "PidFile none",
        "UsePAM no",
        "StrictModes no",
        "PasswordAuthentication no",
        "PermitRootLogin yes",
        "MaxStartups 100",
        "MaxSessions 50",
    )
    (folder / "sshd_config").write_text("".join(f"{line}\n" for line in settings))
    (folder / "ssh_config").write_text(
        f"Host board\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {folder}/user_key\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder}/known_hosts\n  StrictHostKeyChecking yes\n"
    )
    # OpenSSH reads its configuration in the home folder of the account, whatever HOME says.
    (programs / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
    (programs / "ssh").chmod(0o755)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "log").open("wb") as log:
        assert SSHD is not None
        command = [SSHD, "-D", "-e", "-f", folder / "sshd_config"]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    for _ in range(100):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return Board(folder, work, port, server)
        assert server.poll() is None, (folder / "log").read_text()
        time.sleep(0.05)
    raise AssertionError((folder / "log").read_text())


def stop_board(board: Board) -> None:
    """End the server and its sessions."""
    for process in (*board.sessions(), board.server.pid):
        with suppress(ProcessLookupError):
            os.kill(process, 9)
    board.server.wait()


def shell_program(folder: Path, text: str) -> Path:
    """A program called bnnt-run that is the shell's ``text``."""
    program = folder / "bnnt-run"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


def contents(folder: Path) -> list[str]:
    """All that lies in a folder, however deep."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until it is true, some seconds at most."""
    for _ in range(100):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within 10 seconds")
