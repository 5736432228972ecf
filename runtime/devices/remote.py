"""A machine behind a shell: programs and models are sent there once, run there, and their results brought back."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bnn_toolchain.errors import CheckFailed, Unavailable
from bnn_toolchain.progress import Announce, Progress, silent, uncounted
from bnn_toolchain.runtime.devices import scripts
from bnn_toolchain.runtime.devices.facts import Facts, read_facts
from bnn_toolchain.runtime.devices.process import PRINTED, TIMEOUT
from bnn_toolchain.runtime.devices.shell import Shell, nonsense, remedy
from bnn_toolchain.runtime.devices.talk import printable, start, stop, talk
from bnn_toolchain.runtime.targets.target import Arch

ANSWER = 60  # seconds for a script that does next to nothing
SHORT = 1 << 16  # bytes that such a script prints, at most
FACTS = 1 << 23  # bytes of facts: of a machine of hundreds of cores
RESULTS = 1 << 28  # bytes of what a program prints and leaves


@dataclass(frozen=True)
class Remote:
    """A device that a shell reaches. Programs run one at a time, under a lock that is held there."""

    name: str
    shell: Shell
    folder: str  # there; bnnt's own
    runner: tuple[str, ...]  # words in front of a program, such as an emulator
    python: tuple[str, ...]  # words that start Python there
    facts: Facts
    arch: Arch
    cpu: str
    emulated: bool
    announce: Announce = silent
    progress: Progress = uncounted
    _there: set[str] = field(default_factory=set, repr=False)  # hashes of files that are known to be there, whole

    timed = True
    here = False

    def __str__(self) -> str:
        return self.name

    def script(self, script: str) -> bytes:
        """As :meth:`bnn_toolchain.runtime.devices.device.Device.script`."""
        return ask(self.shell, script, (self.folder,), limit=FACTS)

    def run(
        self,
        program: Path,
        arguments: Sequence[str],
        send: Mapping[str, Path | bytes],
        receive: Mapping[str, Path],
        interpreter: Sequence[str] = (),
    ) -> bytes:
        """As :meth:`bnn_toolchain.runtime.devices.device.Device.run`.

        Raises:
            CheckFailed: as there.
            Unavailable: the connection is lost, or the device cannot store or run what it is given.
        """
        kept = {name: path for name, path in send.items() if isinstance(path, Path)}
        hashes = self._keep((program, *kept.values()))
        folder = f"run.{secrets.token_hex(8)}"
        links = [word for name, path in kept.items() for word in (name, hashes[path])]
        self._say("begun", scripts.BEGIN, folder, *links)
        for name, content in send.items():
            if isinstance(content, bytes):
                self._upload(content, f"{folder}/{name}")
        words = [*self.runner, *interpreter, f"../files/{hashes[program]}", *arguments]
        answer = ask(
            self.shell,
            scripts.RUN,
            (self.folder, folder, str(len(receive)), *receive, *words),
            limit=RESULTS,
            seconds=TIMEOUT,
        )
        return self._results(program, answer, receive)

    def _results(self, program: Path, answer: bytes, receive: Mapping[str, Path]) -> bytes:
        first, _, rest = answer.partition(b"\n")
        word, _, number = first.partition(b" ")
        if word != b"ended" or not number.isdigit() or len(number) > 3:
            raise nonsense(self)
        parts: dict[str, bytes | None] = {}
        for name in (".printed", ".complaint", *receive):
            line, _, rest = rest.partition(b"\n")
            size = line.strip()
            if size == b"none":
                parts[name] = None
                continue
            if not size.isdigit() or len(size) > 12 or int(size) > len(rest):
                raise nonsense(self)
            parts[name], rest = rest[: int(size)], rest[int(size) :]
        if rest:
            raise nonsense(self)
        said = printable((parts[".complaint"] or b"")[-500:])
        self._judge(program, int(number), said)
        for name, path in receive.items():
            content = parts[name]
            if content is None:
                raise CheckFailed(f"{program.name} on {self} left no {name}")
            path.write_bytes(content)
        printed = parts[".printed"] or b""
        if len(printed) > PRINTED:
            raise CheckFailed(f"{program.name} on {self} prints without end: it has more than {PRINTED:,} bytes")
        return printed

    def _judge(self, program: Path, code: int, said: str) -> None:
        if code in (126, 127) and self.runner:
            raise Unavailable(
                f"{self}: '{' '.join(self.runner)}' of the devices file cannot run {program.name}: {said}"
            )
        if code in (126, 127):
            why = (
                f"if {self.folder} is mounted noexec, name another folder in the devices file; "
                f"else it does not run programs for {self.arch}"
            )
            raise Unavailable(f"{self} cannot run {program.name}: {said}: {why}")
        if "disk is full" in said:
            raise Unavailable(f"{self}: the disk of {self.folder} is full: free some space there")
        if code == 137:
            raise Unavailable(
                f"{program.name} on {self} was killed there: it has too little memory, or somebody ended it"
            )
        if code:
            raise CheckFailed(f"{program.name} on {self} ended with {code}: {said or 'it gave no reason'}")

    def _keep(self, files: Sequence[Path]) -> dict[Path, str]:
        """The hash of each file, by which it lies there now."""
        hashes = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        unknown = {hash: file for file, hash in hashes.items() if hash not in self._there}
        if unknown:
            missing = self._lines("checked", scripts.MISSING, *unknown)
            sizes = {hash: unknown[hash].stat().st_size for hash in missing if hash in unknown}
            if sizes:
                self.announce(f"sending {sum(sizes.values()):,} bytes to {self}")
            for hash, size in sizes.items():
                self.shell.upload(unknown[hash], f"{self.folder}/files/{hash}.part", self.progress)
                (word,) = self._lines(None, scripts.KEEP, hash, str(size)) or ("",)
                if word != "kept":
                    raise Unavailable(
                        f"{self}: {unknown[hash].name} did not arrive whole ({word or 'no answer'}): "
                        "its disk is full or damaged, or the connection was lost; run again"
                    )
            self._there.update(unknown)
        return hashes

    def _upload(self, content: bytes, to: str) -> None:
        with tempfile.NamedTemporaryFile(prefix="bnnt-") as file:
            file.write(content)
            file.flush()
            self.shell.upload(Path(file.name), f"{self.folder}/{to}", self.progress)

    def _say(self, word: str, script: str, *arguments: str) -> None:
        if self._lines(word, script, *arguments):
            raise nonsense(self)

    def _lines(self, last: str | None, script: str, *arguments: str) -> list[str]:
        """What a script prints in front of its ``last`` line."""
        return lines(self.shell, last, script, (self.folder, *arguments))


def ask(shell: Shell, script: str, arguments: Sequence[str], *, limit: int = SHORT, seconds: float = ANSWER) -> bytes:
    """What ``script`` prints there.

    Raises:
        Unavailable: the connection is lost, the script ends with an error, or it prints more than ``limit`` bytes.
    """
    answer = talk(shell.command(script, arguments), str(shell), limit=limit, seconds=seconds)
    if answer.code:
        raise _failed(shell, answer.code, answer.complaint, arguments[0])
    return answer.printed


def _failed(shell: Shell, code: int, complaint: str, folder: str) -> Unavailable:
    """What a script's exit ``code`` means."""
    lost = shell.trouble(code, complaint)
    if lost is not None:
        return Unavailable(lost)
    said = f": {complaint}" if complaint else ""
    if code in scripts.REASONS:
        return Unavailable(f"{shell}: {scripts.REASONS[code]} {folder}{said}{remedy(complaint)}")
    return Unavailable(f"{shell}: its shell ended with {code}{said}")


def lines(shell: Shell, last: str | None, script: str, arguments: Sequence[str]) -> list[str]:
    """The lines of a short answer; the ``last`` one, if it is known, must be there and is left out.

    Raises:
        Unavailable: as :func:`ask`, or it is not there.
    """
    found = printable(ask(shell, script, arguments)).splitlines()
    if last is None:
        return found
    if not found or found[-1] != last:
        raise nonsense(shell)
    return found[:-1]


@contextmanager
def held(shell: Shell, folder: str) -> Iterator[None]:
    """Nobody else of bnnt is at work in ``folder`` there until the block ends, or the connection.

    Raises:
        Unavailable: somebody is, whom the message names; or the folder cannot be used.
    """
    lines(shell, "prepared", scripts.PREPARE, (folder,))
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or f"user {os.getuid()}"
    owner = f"{user} at {platform.node()} since {time.strftime('%H:%M:%S')}"
    process = start(shell.command(scripts.HOLD, (folder, owner)))
    try:
        answer = _first_lines(process, shell)
        if answer[:1] == ["busy"]:
            who = answer[1] if len(answer) > 1 else "somebody"
            raise Unavailable(f"{shell} is busy: {who} is at work in {folder}; wait until it ends")
        if answer != ["held"]:
            assert process.stderr is not None
            code = process.wait(ANSWER)
            complaint = printable(process.stderr.read(SHORT))
            raise _failed(shell, code, complaint, folder) if code else nonsense(shell)
        yield
    finally:
        _release(process)


def _first_lines(process: subprocess.Popen[bytes], shell: Shell) -> list[str]:
    """What the process says within a short time: "held", or everything if it ends."""
    assert process.stdout is not None
    said, end = b"", time.monotonic() + ANSWER
    while b"held\n" not in said and len(said) < SHORT:
        if not select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
            raise Unavailable(f"{shell} gave no answer within {ANSWER} seconds: is it busy, or gone?")
        piece = os.read(process.stdout.fileno(), 4096)
        if not piece:
            break
        said += piece
    return printable(said).splitlines()


def _release(process: subprocess.Popen[bytes]) -> None:
    """The end of its stdin lets it remove the lock; wait until it did."""
    if process.stdin is not None and process.poll() is None:
        process.stdin.close()
        process.stdin = None
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
    stop(process)


def clean(shell: Shell, folder: str) -> bool:
    """Remove bnnt's ``folder`` there; False if there was none.

    Raises:
        Unavailable: somebody is at work in it, it is not bnnt's, or it cannot be removed.
    """
    answer = lines(shell, None, scripts.CLEAN, (folder,))
    match answer:
        case ["removed"]:
            return True
        case ["nothing"]:
            return False
        case ["busy", owner]:
            raise Unavailable(f"{shell} is busy: {owner} is at work in {folder}; wait until it ends")
    raise nonsense(shell)


def facts_of(shell: Shell, folder: str) -> Facts:
    """What kind of machine it is.

    Raises:
        Unavailable: it does not say.
    """
    return read_facts(ask(shell, scripts.FACTS, (folder,), limit=FACTS), str(shell))
