"""A shell over the user's own OpenSSH: its configuration, keys, agent, known hosts and jump hosts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bnn_toolchain.errors import Unavailable, UsageError
from bnn_toolchain.progress import Progress
from bnn_toolchain.runtime.devices.shell import quoted, remedy
from bnn_toolchain.runtime.devices.talk import printable, talk

ADDRESS = re.compile(r"ssh://([A-Za-z0-9_][\w.-]*@)?([A-Za-z0-9_][\w.-]*|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", re.ASCII)
HOST = re.compile(r"([A-Za-z0-9_][\w.-]*@)?[A-Za-z0-9_][\w.-]*", re.ASCII)
CONNECT = 10  # seconds until a host that says nothing is given up
ANSWER = 60  # seconds until a host that asks for no password must have let us in
SECONDS = 600  # for sending one file
LOST = 255  # ssh's own exit code
OPTIONS = (
    *("-o", f"ConnectTimeout={CONNECT}"),
    *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),  # a cable that is pulled is noticed in 15 seconds
)
TROUBLES = (
    ("IDENTIFICATION HAS CHANGED", "its host key is not the one that you know. If it was set up anew, remove the old "
     "key (ssh-keygen -R HOST) and connect once by hand, to check the new one"),
    ("Host key verification failed", "its host key is not known here: connect once by hand (ssh HOST), and check it"),
    ("Permission denied", "it takes none of your keys: ssh-copy-id HOST, or name the key in your ssh configuration"),
    ("Too many authentication failures", "name the key for it in your ssh configuration, with IdentitiesOnly yes"),
    ("Could not resolve", "no such host is known: is the name right, and are you in its network?"),
    ("Connection refused", "no ssh server answers there: is the port right, and is the server running?"),
    ("timed out", "it does not answer: is it switched on, and in your network?"),
    ("No route to host", "it cannot be reached: is it switched on, and in your network?"),
)  # fmt: skip


@dataclass(frozen=True)
class Ssh:
    """One master connection, which all commands go through."""

    program: str
    address: str
    socket: Path

    folder = ".bnnt-device"  # in the home folder, where a command starts

    def __str__(self) -> str:
        return self.address

    def command(self, script: str, arguments: Sequence[str]) -> list[str]:
        """As :meth:`bnn_toolchain.runtime.devices.shell.Shell.command`."""
        # Without its master this would ask for a password again: it must fail.
        alone = ("-S", str(self.socket), "-o", "ControlMaster=no", "-o", "BatchMode=yes", "-T")
        return [self.program, *OPTIONS, *alone, "--", self.address, quoted(script, arguments)]

    def upload(self, file: Path, to: str, progress: Progress) -> None:
        """As :meth:`bnn_toolchain.runtime.devices.shell.Shell.upload`."""
        command = self.command('trap "" HUP PIPE; cat > "$1" && echo written', (to,))
        answer = talk(command, self.address, limit=100, seconds=SECONDS, send=file, progress=progress)
        if answer.printed != b"written\n":
            lost = self.trouble(answer.code, answer.complaint)
            raise Unavailable(lost or f"{self}: cannot write {to}: {answer.complaint}{remedy(answer.complaint)}")

    def trouble(self, code: int, complaint: str) -> str | None:
        """As :meth:`bnn_toolchain.runtime.devices.shell.Shell.trouble`."""
        if code != LOST:
            return None
        for words, advice in TROUBLES:
            if words in complaint:
                return f"{self.address}: {advice}"
        said = complaint.splitlines()[-1:] or ["the connection was lost"]
        return f"{self.address}: {said[0]}: nothing goes on there; once the device is back, run again"


def is_configured(host: str) -> bool:
    """Whether the user's ssh configuration says anything about ``host``, or it is written as an address."""
    program = shutil.which("ssh")
    if program is None or not HOST.fullmatch(host):
        return False
    if "@" in host or "." in host:
        return True
    return _settings(program, host) != _settings(program, "bnnt-nobody")


def _settings(program: str, host: str) -> list[str]:
    """What the configuration says about ``host``, apart from its name."""
    printed = subprocess.run([program, "-G", "--", host], capture_output=True, text=True).stdout
    return [
        line
        for line in printed.splitlines()
        if line.lower() not in (f"{key} {host.lower()}" for key in ("host", "hostname", "originalhost"))
    ]


@contextmanager
def connect(address: str) -> Iterator[Ssh]:
    """A connection to ``address``, ssh://… or a host, until the block ends; a terminal may be asked for a password.

    Raises:
        UsageError: it is no address.
        Unavailable: ssh is not installed, or the host does not let us in; the message says why and what to do.
    """
    if not ADDRESS.fullmatch(address) and not HOST.fullmatch(address):
        raise UsageError(f"'{address}' is no address: write ssh://USER@HOST:PORT, or a host of your ssh configuration")
    program = shutil.which("ssh")
    if program is None:
        raise Unavailable("ssh is not installed: apt install openssh-client")
    with tempfile.TemporaryDirectory(prefix="bnnt-", dir=_short()) as folder:
        shell = Ssh(program, address, Path(folder) / "master")
        # Should this process be killed, the master ends after a while without a command.
        master = [program, *OPTIONS, "-M", "-N", "-f", "-S", str(shell.socket), "-o", "ControlPersist=30"]
        asks = sys.stdin.isatty()
        if not asks:
            master += ["-o", "BatchMode=yes"]
        complaint = Path(folder) / "stderr"
        try:
            with complaint.open("wb") as stderr:  # a pipe would stay open as long as the master lives
                code = subprocess.run(
                    [*master, "--", address],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    timeout=None if asks else ANSWER,
                ).returncode
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{address}: it lets nobody in within {ANSWER} seconds: is it busy?") from error
        if code:
            text = printable(complaint.read_bytes()[-4000:])
            raise Unavailable(shell.trouble(LOST, text) or text)
        try:
            yield shell
        finally:
            over = [program, "-S", str(shell.socket), "-O", "exit", "--", address]
            subprocess.run(over, stdin=subprocess.DEVNULL, capture_output=True, timeout=10)


def _short() -> str | None:
    """A folder for a socket, whose path has room for 100 bytes; None is the usual one."""
    return "/tmp" if len(tempfile.gettempdir()) > 50 else None
