"""The command line, called as a user would."""

from __future__ import annotations

import sys

import pytest

from msmtrec.cli.main import main


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """(exit code, what went to stdout, what went to stderr) of `msmtrec ARGUMENTS`."""
    sys.argv = ["msmtrec", *arguments]
    with pytest.raises(SystemExit) as stop:
        main()
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err
