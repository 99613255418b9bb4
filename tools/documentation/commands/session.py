"""Runs the commands of the list in a folder of their own, with little to do, and compares what they print."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import zipfile
from collections.abc import Sequence

from documentation.commands.runs import Run


def prepare(folder: pathlib.Path, root: pathlib.Path) -> None:
    """Puts what the documents take as given into a folder: openpi's numbers, and the folders of the checkout."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(root / "test" / "data" / "set_a.zip") as archive:
        archive.extractall(folder / "parity_set")
    for name in ("config", "examples", "test"):
        if not (folder / name).exists():
            (folder / name).symlink_to(root / name)


def fault(one: Run, folder: pathlib.Path, root: pathlib.Path) -> str:
    """Runs a command and returns what is wrong with what it does, or an empty text.

    Args:
        one: the command.
        folder: folder that `prepare` has made; outputs go there.
        root: the checkout, whose code runs.
    """
    words = _words(one.small)
    environ = {**os.environ, "PYTHONPATH": f"{root}:{os.environ.get('PYTHONPATH', '')}", "WANDB_MODE": "disabled"}
    with subprocess.Popen(
        words,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        printed = _printed(process, one)
    interrupted = (130,) if one.until else ()
    if process.returncode not in (*one.statuses, *interrupted):
        return f"`{one.small}` must end with the status {one.statuses}, got {process.returncode}:\n{printed[-3000:]}"
    if not re.search(one.prints, printed):
        return f"`{one.small}` must print {one.prints!r}, got:\n{printed[-3000:]}"
    return ""


def _printed(process: subprocess.Popen[str], one: Run) -> str:
    """Returns what a process prints, and ends one that runs until Ctrl-C when it has printed what is expected."""
    printed = ""
    for line in process.stdout or ():
        printed += line
        if one.until and re.search(one.prints, printed):
            process.send_signal(signal.SIGINT)
            one_more = process.communicate()[0]
            return printed + (one_more or "")
    return printed


def _words(text: str) -> Sequence[str]:
    """Returns the words of a command, with this Python in the place of the one that the document names."""
    words = shlex.split(text)
    if words[0] == "chunk_ppo":
        return [sys.executable, "-m", "chunk_ppo_ros", *words[1:]]
    return [sys.executable, *words[1:]]
