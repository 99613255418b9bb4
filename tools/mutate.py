"""Changes random lines of the package and prints which changes no test notices.

`make mutants SEED=1 COUNT=100` spreads the changes over all folders of the package. First comes a survey, which is one
run of all tests that are not slow. It records how long each test takes and which lines it runs. Then each change is
made in a copy of the checkout, never in the checkout itself. The tests that are most likely to notice the change
(`mutant_tests.py`) run in the copy, the quickest first.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import os
import pathlib
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

from mutant_tests import PACKAGE, Survey, import_distances, tests_for
from mutations import Mutation, mutations

ROOT = pathlib.Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The result of a change.

    Attributes:
        mutation: the change.
        outcome: words that say whether a test noticed it.
        seconds: duration of the tests, s.
    """

    mutation: Mutation
    outcome: str
    seconds: float

    @property
    def is_killed(self) -> bool:
        """Whether a test noticed the change."""
        return self.outcome.startswith("killed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the survey and the changes, prints one line for each change and a summary, and returns the exit code."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="mutants_") as name:
        copies = [copy_checkout(pathlib.Path(name) / str(number)) for number in range(options.jobs)]
        survey = Survey({}, {}) if options.no_survey else take_survey(copies[0], jobs=options.jobs)
        chosen = choose(candidates(), options.count, seed=options.seed)
        distances = import_distances(copies[0])
        free: queue.Queue[pathlib.Path] = queue.Queue()
        for copy in copies:
            free.put(copy)

        def judge_in_free_copy(mutation: Mutation) -> Verdict:
            copy = free.get()
            try:
                tests = tests_for(mutation, survey, distances, time_limit=options.time_limit)
                return judge(mutation, copy, tests, time_limit=options.time_limit)
            finally:
                free.put(copy)

        verdicts = []
        with ThreadPoolExecutor(options.jobs) as pool:
            for verdict in pool.map(judge_in_free_copy, chosen):
                print(f"{verdict.outcome:24} {verdict.seconds:4.0f} s  {verdict.mutation}", flush=True)
                verdicts.append(verdict)
    survivors = [verdict for verdict in verdicts if not verdict.is_killed]
    print(f"\n{len(verdicts) - len(survivors)} of {len(verdicts)} changes were noticed. Not noticed:")
    for verdict in survivors:
        print(f"  {verdict.mutation}  ({verdict.outcome})")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="seed of the random choice of changes")
    parser.add_argument("--count", type=int, default=100, help="number of lines that are changed")
    parser.add_argument("--jobs", type=int, default=2, help="number of changes that are tested at once")
    parser.add_argument(
        "--time-limit", type=float, default=120.0, help="seconds of tests for each change, by the survey"
    )
    parser.add_argument("--no-survey", action="store_true", help="choose tests by imports alone")
    return parser.parse_args(arguments)


def copy_checkout(folder: pathlib.Path) -> pathlib.Path:
    """Copies all files that git does not ignore into `folder`, and returns the copy's root.

    A link to ../shared is made beside the copy.
    """
    copy = folder / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    (ROOT / ".cache").mkdir(exist_ok=True)
    (copy / ".cache").symlink_to(ROOT / ".cache")  # compiled programs
    if (ROOT.parent / "shared").is_dir():
        (folder / "shared").symlink_to((ROOT.parent / "shared").resolve())
    return copy


def run_pytest(copy: pathlib.Path, arguments: Iterable[str], *, timeout: float | None = None) -> int | None:
    """Runs pytest in a copy. Returns its exit code, or None where it did not end in time."""
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(copy)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    with subprocess.Popen(
        command, cwd=copy, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)  # This also ends the processes that the tests have started.


def take_survey(copy: pathlib.Path, *, jobs: int) -> Survey:
    """Runs all tests once without a change, and returns their durations and the lines that they run.

    Raises:
        RuntimeError: when the tests cannot be run at all.
    """
    from coverage import CoverageData

    print("survey: running all tests once, unchanged", flush=True)
    report = copy.parent / "report.xml"
    parallel = ["-p", "xdist", "-n", str(jobs), "--dist", "loadgroup"]
    measured = ["-p", "pytest_cov", "--cov", "--cov-context=test", "--cov-report=", f"--junitxml={report}"]
    code = run_pytest(copy, [*parallel, *measured, "-o", "junit_family=xunit1"])
    if code not in (0, 1):
        raise RuntimeError(f"pytest must end with 0 or 1, got {code}; see whether `make test` works")
    durations = {}
    for case in ElementTree.parse(report).iter("testcase"):
        if not len(case):  # The test neither failed nor was skipped.
            durations[f"{case.get('file')}::{case.get('name')}".partition("@")[0]] = float(case.get("time", 0.0))
    data = CoverageData(str(copy / ".coverage"))
    data.read()
    contexts = {}
    for file in data.measured_files():
        name = os.path.relpath(file, copy)
        for line, tests in data.contexts_by_lineno(file).items():
            contexts[name, line] = frozenset(test.partition("|")[0].partition("@")[0] for test in tests if test)
    print(f"survey: {len(durations)} tests, {sum(durations.values()):.0f} s", flush=True)
    return Survey(durations, contexts)


def candidates() -> dict[str, dict[tuple[pathlib.Path, int], list[Mutation]]]:
    """Returns all possible changes, by folder of the package and then by line."""
    rooms: dict[str, dict[tuple[pathlib.Path, int], list[Mutation]]] = collections.defaultdict(dict)
    for file in sorted((ROOT / PACKAGE).rglob("*.py")):
        path = file.relative_to(ROOT)
        if len(path.parts) < 3:
            continue  # The root of the package has only entry points.
        for mutation in mutations(path, file.read_text(encoding="utf-8")):
            rooms[path.parts[1]].setdefault((path, mutation.line), []).append(mutation)
    return rooms


def choose(
    rooms: Mapping[str, Mapping[tuple[pathlib.Path, int], Sequence[Mutation]]], count: int, *, seed: int
) -> list[Mutation]:
    """Draws `count` lines, with one change for each.

    The first half is drawn from the folders in turn, and the rest from all lines of the package.
    """
    source = random.Random(seed)
    left = {room: source.sample(sorted(lines), len(lines)) for room, lines in sorted(rooms.items())}
    turns = [room for _ in range(count) for room in sorted(left)][: count // 2]
    drawn = [(room, left[room].pop()) for room in turns if left[room]]
    rest = [(room, line) for room, lines in left.items() for line in lines]
    drawn += source.sample(rest, min(count - len(drawn), len(rest)))
    return [source.choice(rooms[room][line]) for room, line in drawn]


def judge(mutation: Mutation, copy: pathlib.Path, tests: Sequence[str], *, time_limit: float) -> Verdict:
    """Makes a change in a copy, runs the tests there, and then undoes the change.

    A change with which the tests do not end within three times the time limit is noticed: whoever runs them sees it.
    """
    if not tests:
        return Verdict(mutation, "survived, no test", 0.0)
    file = copy / mutation.path
    text = file.read_text(encoding="utf-8")
    start = time.monotonic()
    try:
        file.write_text(mutation.apply(text), encoding="utf-8")
        code = run_pytest(copy, ["-x", *tests], timeout=3 * time_limit + 60.0)
    finally:
        file.write_text(text, encoding="utf-8")
    seconds = time.monotonic() - start
    if code is None:
        return Verdict(mutation, "killed, tests hang", seconds)
    return Verdict(mutation, f"survived {len(tests)} tests" if code in (0, 5) else "killed", seconds)


if __name__ == "__main__":
    sys.exit(main())
