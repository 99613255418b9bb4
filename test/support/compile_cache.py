"""The folder in which JAX keeps compiled programs from one run of the tests to the next.

XLA's compilation is most of what the tests cost, and nearly all programs are the same in every run. JAX finds a program
again by its text, the version of jaxlib and the flags of XLA. The machine code also rests on the CPU, so each kind of
CPU has a folder of its own.

Several processes may use the folder at once. JAX writes an entry in place: who reads it half written, or after its
writer was killed, warns and compiles the program once more. The settings of pytest show that warning without failing a
test.
"""

from __future__ import annotations

import hashlib
import pathlib
import platform
from collections.abc import Iterator
from importlib.metadata import version

MAX_SIZE = 1 << 30  # bytes; a run of all tests fills about a tenth of it


def cpu_features() -> str:
    """Returns the features of the CPU as the kernel lists them, or the architecture where it lists none."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    listed = {line for line in lines if line.startswith(("flags", "Features", "model name"))}
    return " ".join([platform.machine(), *sorted(listed)])


def compile_cache(parent: pathlib.Path, *, max_size: int = MAX_SIZE) -> pathlib.Path:
    """Makes the folder for this CPU and jaxlib below `parent`, and removes what has not been used for longest.

    Args:
        parent: The folder of all such folders.
        max_size: Most bytes that may stay.

    Returns:
        The folder, which exists.
    """
    kind = hashlib.sha256(cpu_features().encode()).hexdigest()[:12]
    folder = parent / f"jaxlib-{version('jaxlib')}-{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    entries = sorted(used_entries(parent))
    excess = sum(size for _, size, _ in entries) - max_size
    for _, size, path in entries:
        if excess <= 0:
            break
        path.unlink(missing_ok=True)  # another run may have removed it
        excess -= size
    return folder


def used_entries(parent: pathlib.Path) -> Iterator[tuple[float, int, pathlib.Path]]:
    """Gives of each entry the time of its last use, s since 1970, its size in bytes and its path."""
    for path in parent.glob("*/*"):
        try:
            status = path.stat()
        except FileNotFoundError:  # another run has just removed it
            continue
        yield max(status.st_atime, status.st_mtime), status.st_size, path
