"""Chooses the tests that are most likely to notice a changed line.

A survey of the tests says which of them run the line. A line that runs at import, or in a process that a test starts,
is not in the survey. For such a line it chooses the test files whose imports lead to the changed file, the nearest
first.
"""

from __future__ import annotations

import ast
import collections
import contextlib
import dataclasses
import pathlib
import textwrap
from collections.abc import Mapping, Sequence

from mutations import Mutation

PACKAGE = "chunk_ppo_ros"
UNKNOWN_DURATION = 5.0
"""The assumed duration of a test file that the survey does not have, s."""


@dataclasses.dataclass(frozen=True)
class Survey:
    """The result of one run of the tests without a change.

    Attributes:
        durations: seconds of each test that passed, by its name for pytest.
        contexts: names of the tests that ran a line, by file (relative to the root) and line.
    """

    durations: Mapping[str, float]
    contexts: Mapping[tuple[str, int], frozenset[str]]


def import_distances(copy: pathlib.Path) -> dict[str, dict[str, int]]:
    """Returns the number of imports from each test file to each file of the package, both relative to the root."""
    names = {}
    for path in [*(copy / PACKAGE).rglob("*.py"), *(copy / "test" / "support").rglob("*.py")]:
        base = copy if path.is_relative_to(copy / PACKAGE) else copy / "test"
        names[".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__")] = path
    tests = sorted((copy / "test").glob("test_*.py"))
    imported = {path: [names[name] for name in named(path) if name in names] for path in [*names.values(), *tests]}
    return {
        str(test.relative_to(copy)): {str(path.relative_to(copy)): far for path, far in spread(test, imported).items()}
        for test in tests
    }


def named(path: pathlib.Path) -> set[str]:
    """Returns the modules that a file imports.

    It also returns the strings of the file and the modules that they import, because a string may be the name or the
    program of a new process.
    """
    return _named_in(ast.parse(path.read_text(encoding="utf-8")))


def _named_in(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
            if "import " in node.value:
                with contextlib.suppress(SyntaxError):  # Most strings are no programs.
                    found |= _named_in(ast.parse(textwrap.dedent(node.value)))
    return found


def spread(start: pathlib.Path, imported: Mapping[pathlib.Path, Sequence[pathlib.Path]]) -> dict[pathlib.Path, int]:
    """Returns the number of imports from a file to each file that it reaches."""
    far, waiting = {start: 0}, collections.deque([start])
    while waiting:
        path = waiting.popleft()
        for other in imported[path]:
            if other not in far:
                far[other] = far[path] + 1
                waiting.append(other)
    return far


def tests_for(
    mutation: Mutation, survey: Survey, distances: Mapping[str, Mapping[str, int]], *, time_limit: float
) -> list[str]:
    """Returns the tests that are most likely to notice a change, which take up to `time_limit` seconds together."""
    path = str(mutation.path)
    seen = survey.contexts.get((path, mutation.line), frozenset()) & set(survey.durations)
    ranked = sorted((survey.durations[test], test) for test in seen)
    if not ranked:
        near = sorted((far[path], test) for test, far in distances.items() if path in far)
        files: dict[str, float] = collections.defaultdict(float)
        for test, seconds in survey.durations.items():
            files[test.partition("::")[0]] += seconds
        ranked = [(files.get(test, UNKNOWN_DURATION), test) for _, test in near if not files or test in files]
    chosen: list[str] = []
    total = 0.0
    for seconds, test in ranked:
        total += seconds
        if chosen and total > time_limit:
            break
        chosen.append(test)
    return chosen
