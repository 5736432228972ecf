#!/usr/bin/env python3
"""Stands in for Android's program adb, as its documentation describes it: no Android device was at hand.

``adb [-s SERIAL] get-state | start-server | shell [-T] WORDS… | push FILE PATH``. The words of ``shell`` are joined
with blanks and read by the device's shell, whose exit code and two streams come back as they are. The device is this
machine; the file "unplugged" beside this program takes it away.
"""

import os
import shutil
import sys
from pathlib import Path

SERIAL = "R58M-1"


def fail(message: str) -> None:
    print(message, file=sys.stderr)
    sys.exit(1)


def main(words: list[str]) -> None:
    if words[:1] == ["start-server"]:
        return
    serial = SERIAL
    if words[:1] == ["-s"]:
        serial, words = words[1], words[2:]
    if Path(__file__).with_name("unplugged").exists():
        fail("error: no devices/emulators found")
    if serial != SERIAL:
        fail(f"error: device '{serial}' not found")
    match words:
        case ["get-state"]:
            print("device")
        case ["shell", "-T", *line]:
            os.execvp("sh", ["sh", "-c", " ".join(line)])
        case ["push", file, path]:
            try:
                shutil.copyfile(file, path)
            except OSError as error:
                fail(f"adb: error: failed to copy '{file}' to '{path}': remote {error.strerror}")
            print(f"{file}: 1 file pushed, 0 skipped.")
        case _:
            fail(f"adb: unknown command {' '.join(words)}")


if __name__ == "__main__":
    main(sys.argv[1:])
