"""Types the commands of docs/tutorial.md in their order, and compares what they print with what the page says.

`make tutorial` runs it in a clean clone. A block of `bash` is followed by a block of `text` with the lines that it
prints. `...` stands for anything. A comment `<!-- numbers within 8 -->` before a block says how far its numbers may
differ from those of the page; without it they may have any value.

The number of a run's last checkpoint differs from one machine to another. Where a command prints another `step_N` than
the page says, the later commands get the printed one, as a reader would write it.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence

_BLOCK = re.compile(
    r"```bash\n(?P<commands>.*?)```(?:\n+(?:<!-- numbers within (?P<within>[\d.]+) -->\n)?```text\n(?P<lines>.*?)```)?",
    re.DOTALL,
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_STEP = re.compile(r"[\w./-]*\bstep_\d+")
_MARK = "@@@ block"


@dataclasses.dataclass(frozen=True)
class Block:
    """The commands of a block, and what they print.

    Attributes:
        commands: lines for the shell.
        lines: lines that are expected, in their order.
        within: how far each number may be from that of the page; None where it may have any value.
    """

    commands: str
    lines: tuple[str, ...]
    within: float | None


def blocks(page: str) -> list[Block]:
    """Returns the blocks of a page, in their order."""
    return [
        Block(
            commands=match["commands"],
            lines=tuple(line for line in (match["lines"] or "").splitlines() if line != "..."),
            within=None if match["within"] is None else float(match["within"]),
        )
        for match in _BLOCK.finditer(page)
    ]


def missing(block: Block, printed: str) -> str:
    """Returns the first expected line that does not come after the one before it, or an empty text."""
    rest = printed.replace("\r", "\n").splitlines()
    for line in block.lines:
        places = [index for index, other in enumerate(rest) if _fits(line, other, block.within)]
        if not places:
            return line
        rest = rest[places[0] + 1 :]
    return ""


def _fits(line: str, printed: str, within: float | None) -> bool:
    pattern = r"\s*".join(
        r".*" if part == "..." else re.sub(r"\d+(?:\\\.\d+)?", r"(?<![\\d.])(\\d+(?:\\.\\d+)?)", re.escape(part))
        for part in line.split()
    )
    found = re.fullmatch(rf"\s*{pattern}\s*", printed)
    if found is None:
        return False
    pairs = zip(_NUMBER.findall(line), found.groups(), strict=True)
    return within is None or all(abs(float(one) - float(other)) <= within for one, other in pairs)


def printed_steps(block: Block, printed: str) -> dict[str, str]:
    """Returns the name that was printed for each checkpoint that the lines of a block name, such as a/step_26."""
    rest = printed.replace("\r", "\n").splitlines()
    found: dict[str, str] = {}
    for line in block.lines:
        names = _STEP.findall(line)
        others = [_STEP.findall(other) for other in rest if names and _fits(line, other, block.within)]
        if others and len(others[-1]) == len(names):
            found |= dict(zip(names, others[-1], strict=True))
    return found


def with_steps(block: Block, steps: Mapping[str, str]) -> Block:
    """Returns a block whose commands and lines have other names of checkpoints, by the names of the page."""

    def named(text: str) -> str:
        return _STEP.sub(lambda match: steps.get(match[0], match[0]), text)

    return dataclasses.replace(block, commands=named(block.commands), lines=tuple(map(named, block.lines)))


def run(page: str, folder: pathlib.Path) -> Iterator[tuple[Block, str, float]]:
    """Yields each block with what its commands printed, and how many seconds they took.

    All blocks run in one shell, so that what one of them sets is known in the next. The block that is yielded has the
    names of checkpoints that were printed before.

    Args:
        page: text of the tutorial.
        folder: a clean clone.

    Raises:
        RuntimeError: where a command fails; the text ends with what it printed.
    """
    steps: dict[str, str] = {}
    with subprocess.Popen(
        ["bash", "-e"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as shell:
        for block in (with_steps(each, steps) for each in blocks(page)):
            begin = time.monotonic()
            printed, has_ended = _typed(shell, block.commands)
            if not has_ended:
                raise RuntimeError(f"`{block.commands.strip()}` must succeed, got:\n{printed[-3000:]}")
            steps |= printed_steps(block, printed)
            yield block, printed, time.monotonic() - begin


def _typed(shell: subprocess.Popen[str], commands: str) -> tuple[str, bool]:
    """Types commands into a shell. Returns what they print, and whether the shell has come to their end.

    They read nothing from the standard input, which has the commands that follow.
    """
    assert shell.stdin is not None and shell.stdout is not None
    shell.stdin.write(f"{{\n{commands}\n}} < /dev/null\necho '{_MARK}'\n")
    shell.stdin.flush()
    printed = ""
    for line in shell.stdout:
        if line.strip() == _MARK:
            return printed, True
        printed += line
    return printed, False


def main(arguments: Sequence[str] | None = None) -> int:
    """Types the tutorial into a clean clone of this checkout. Returns 1 where a line is not printed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    root = pathlib.Path(__file__).resolve().parents[2]
    page = (root / "docs" / "tutorial.md").read_text(encoding="utf-8")
    status = 0
    for folder in given:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tutorial_", dir=given[0] if given else None) as name:
        clone = pathlib.Path(name) / "chunk_ppo_ros"
        subprocess.run(["git", "clone", "--quiet", str(root), str(clone)], check=True)
        for block, printed, seconds in run(page, clone):
            lack = missing(block, printed)
            print(f"{'differs' if lack else 'as told'} ({seconds:.0f} s): {block.commands.strip()}", flush=True)
            if lack:
                print(f"  the page says: {lack}\n  printed at last:\n{printed[-1500:]}", flush=True)
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
