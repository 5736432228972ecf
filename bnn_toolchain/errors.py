"""The errors that a user can meet, each with the exit code that scripts see.

Every message names the thing, the value and the remedy. The command line prints the message alone; a
traceback appears only with ``--debug``.
"""


class BnntError(Exception):
    """Base of every error that bnnt raises on purpose."""

    exit_code = 1


class CheckFailed(BnntError):
    """A comparison, validation or measurement ended with the wrong answer (exit code 1)."""

    exit_code = 1


class UsageError(BnntError):
    """The input is wrong: a name, a value, a file that is not what it should be (exit code 2)."""

    exit_code = 2


class FileFormatError(UsageError):
    """A file is truncated, foreign or corrupt (exit code 2)."""


class BadAnswer(FileFormatError):
    """What a device sent back is not what it should be (exit code 3)."""

    exit_code = 3


class Unsupported(UsageError):
    """The model has something that this converter or engine cannot express (exit code 2).

    The message names the operator, where it comes from and what to use instead.
    """


class Unavailable(BnntError):
    """A device, engine, compiler or emulator is not there (exit code 3)."""

    exit_code = 3
