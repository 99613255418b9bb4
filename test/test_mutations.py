"""Tests the changes of lines for `make mutants`: which are made, which are not, and how they are chosen."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tools"))

import mutant_tests
import mutate
from mutations import mutations

PATH = pathlib.Path("chunk_ppo_ros/core/example.py")


def changed(text: str) -> set[str]:
    return {mutation.apply(text) for mutation in mutations(PATH, text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = a < b\n", {"x = (a >= b)\n"}),
        ("x = 'ä', a * b\n", {"x = 'ä', (a / b)\n"}),
        ("x = 3\n", {"x = 4\n"}),
        ("x = True\n", {"x = False\n"}),
        ("x = a and not b\n", {"x = ((a) or (not b))\n", "x = a and (b)\n"}),
        ("if a:\n    f()\n", {"if (not (a)):\n    f()\n", "if a:\n    pass\n"}),
        ("def f():\n    return a\n", {"def f():\n    return None\n"}),
        ("x += a\n", {"pass\n"}),
    ],
)
def test_each_kind_of_change(text: str, expected: set[str]) -> None:
    assert changed(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '"""A text of 3 words."""\n',
        "logger.warning('%d of %d', 1, 2)\n",
        "x = f'{1 + 2}'\n",
        "x: Annotated[int, 3]\n",
        "@cache(3)\ndef f(): ...\n",
        "if __name__ == '__main__':\n    x = 3\n",
        "x = 'a' + b\n",
    ],
)
def test_texts_and_hints_stay(text: str) -> None:
    assert changed(text) == set()


def test_the_same_seed_draws_the_same_lines_from_every_room() -> None:
    rooms = mutate.candidates()
    drawn = mutate.choose(rooms, 100, seed=3)
    assert drawn == mutate.choose(rooms, 100, seed=3) != mutate.choose(rooms, 100, seed=4)
    assert {mutation.path.parts[1] for mutation in drawn} == set(rooms)
    assert len({(mutation.path, mutation.line) for mutation in drawn}) == 100


def test_the_quickest_tests_that_run_the_line_come_first_up_to_the_time_limit() -> None:
    (mutation,) = mutations(PATH, "x = 3\n")
    durations = {"test/test_a.py::test_slow": 9.0, "test/test_a.py::test_quick": 1.0, "test/test_b.py::test_other": 1.0}
    contexts = {(str(PATH), 1): frozenset({"test/test_a.py::test_slow", "test/test_a.py::test_quick"})}
    survey = mutant_tests.Survey(durations, contexts)
    assert mutant_tests.tests_for(mutation, survey, {}, time_limit=10.0) == [
        "test/test_a.py::test_quick",
        "test/test_a.py::test_slow",
    ]
    assert mutant_tests.tests_for(mutation, survey, {}, time_limit=5.0) == ["test/test_a.py::test_quick"]


def test_a_file_names_what_it_imports_and_what_the_programs_in_its_strings_import(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "test_example.py"
    path.write_text(
        "from chunk_ppo_ros.example import first\n"
        'PROGRAM = """\n    import sys; from chunk_ppo_ros.example import second\n"""\n'
        'MODULE = "chunk_ppo_ros.example.third"\n'
        'TEXT = "an import of nothing"\n'
    )
    assert mutant_tests.named(path) >= {
        "chunk_ppo_ros.example.first",
        "chunk_ppo_ros.example.second",
        "chunk_ppo_ros.example.third",
    }


def test_the_nearest_files_come_first_where_no_test_was_seen_to_run_the_line() -> None:
    (mutation,) = mutations(PATH, "x = 3\n")
    distances = {"test/test_far.py": {str(PATH): 4}, "test/test_near.py": {str(PATH): 1}, "test/test_other.py": {}}
    found = mutant_tests.tests_for(mutation, mutant_tests.Survey({}, {}), distances, time_limit=60.0)
    assert found == ["test/test_near.py", "test/test_far.py"]
