"""Tests which names are shown beside a misspelt one."""

from __future__ import annotations

import pytest

from chunk_ppo_ros.core.suggestions import did_you_mean, nearest, question

FLAGS = ["--resume", "--no_resume", "--no-resume", "--learning_rate", "--num_epochs"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("--learning_rte", ["--learning_rate"], id="misspelt"),
        pytest.param("--learn", ["--learning_rate"], id="a beginning"),
        pytest.param("--no_resum", ["--no_resume", "--resume"], id="one flag in two spellings is named once"),
        pytest.param("--xyzzy", [], id="like nothing"),
    ],
)
def test_the_nearest_names_are_shown_once(name: str, expected: list[str]) -> None:
    assert nearest(name, FLAGS) == expected


def test_nothing_near_gives_the_other_advice() -> None:
    assert did_you_mean("--no_resum", FLAGS) == "; did you mean --no_resume or --resume?"
    assert did_you_mean("--xyzzy", FLAGS, otherwise="; see --help") == "; see --help"


def test_all_texts_ask_in_the_same_words() -> None:
    assert question(["reach"]) == "did you mean reach?"
    assert question(["/a", "/b", "/c"]) == "did you mean /a or /b or /c?"
    assert question([]) == ""
