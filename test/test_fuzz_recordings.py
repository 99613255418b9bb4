"""Runs 200 cases of `make fuzz`, and checks that its judge notices what it must."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tools"))

from fuzz_recordings.byte_faults import Fault
from fuzz_recordings.judge import judge
from fuzz_recordings.motion import CAMERAS, NUM_STEPS, motion, picture
from fuzz_recordings.reading import Reading, SeenEpisode, read_here
from fuzz_recordings.samples import SAMPLES, Sample

FLIP = Fault("flip", "", is_flip=True)
CUT = Fault("cut", "", keeps_order=True)
HERE = pathlib.Path("/data")


def seen(number: int, **other: object) -> SeenEpisode:
    images = {name: {step: picture(number, name, step) for step in range(NUM_STEPS)} for name in CAMERAS}
    states = motion(number)
    episode = SeenEpisode(f"/{number}", states, states + 0.01, 50.0, "pour", True, images, (), ())
    return dataclasses.replace(episode, **other)  # type: ignore[arg-type]


WHOLE = Reading("read", episodes=(seen(0), seen(1)))


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs Python in a process that may fork, which a process with the threads of JAX must not."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def verdict(reading: Reading, fault: Fault = FLIP) -> str:
    return judge(reading, WHOLE, fault, Sample("any", lambda folder: None), HERE)[0]


def changed(values: np.ndarray, *places: tuple[int, int]) -> np.ndarray:
    other = values.copy()
    for place in places:
        other[place] += 1.0
    return other


@pytest.mark.parametrize("part", range(2))
def test_no_damage_is_misread(part: int) -> None:
    """All formats are damaged in 200 ways, and nothing ends in a traceback or is read wrong without a word."""
    ended = python("-m", "fuzz_recordings", "--cases", "100", "--seed", str(100 + part))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.startswith("cases=100 ")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_whole_recordings_are_read_to_the_value(sample: Sample, tmp_path: pathlib.Path) -> None:
    sample.write(tmp_path)
    reading = read_here(tmp_path)
    assert reading.outcome == "read", reading.text
    assert len(reading.episodes) == 2
    for number, episode in enumerate(reading.episodes):
        expected = motion(number)[: len(episode.states)]
        arms = [*range(6), *range(7, 13)]
        np.testing.assert_allclose(episode.states[:, arms], expected[:, arms], atol=1e-3)
        np.testing.assert_allclose(episode.actions[:, arms], expected[:, arms] + 0.01, atol=1e-3)
        for name in CAMERAS:
            for step, image in episode.images[name].items():
                error = np.abs(image.astype(int) - picture(number, name, step)).mean()
                assert error < 12, (name, step, error)  # The next step is 30 brighter in one of three colors.


def test_what_is_whole_is_harmless_and_one_other_value_is_named() -> None:
    assert verdict(WHOLE) == "harmless"
    one = seen(1, states=changed(motion(1), (3, 4)))
    assert verdict(Reading("read", episodes=(seen(0), one))) == "other_value"


@pytest.mark.parametrize(
    "episodes",
    [
        (seen(1), seen(0)),
        (seen(0),),
        (seen(0), seen(1, states=changed(motion(1), (3, 4), (4, 4)))),
        (seen(0), seen(1, states=motion(1)[:, ::-1])),
        (seen(0), seen(1, rate=30.0)),
        (seen(0), seen(1, success=False)),
        (seen(0), seen(1, prompt="open the drawer")),
        (seen(0), seen(1, images={})),
        (seen(0), seen(1, images={name: seen(0).images["cam_high"] for name in CAMERAS})),
    ],
    ids=["order", "count", "two values", "columns", "rate", "mark", "prompt", "no cameras", "other camera"],
)
def test_a_flip_that_changes_more_than_a_value_is_wrong(episodes: tuple[SeenEpisode, ...]) -> None:
    assert verdict(Reading("read", episodes=episodes)) == "wrong"


def test_what_a_cut_takes_away_must_be_said() -> None:
    shorter = {"states": motion(1)[:5], "actions": motion(1)[:5] + 0.01}
    assert verdict(Reading("read", episodes=(seen(0), seen(1, **shorter))), CUT) == "wrong"
    said = seen(1, **shorter, remarks=("the end is cut off",))
    assert verdict(Reading("read", episodes=(seen(0), said)), CUT) == "shorter"
    assert verdict(Reading("read", episodes=(seen(0),), left_out=("1 is left out",)), CUT) == "shorter"


def test_an_error_must_be_one_line_with_the_file() -> None:
    assert verdict(Reading("refused", "got /data/x; copy it again")) == "refused"
    assert verdict(Reading("refused", "got x; copy it again")) == "wrong"
    assert verdict(Reading("refused", "got /data/x\n; copy it again")) == "wrong"
    assert verdict(Reading("traceback", "ValueError")) == "traceback"


@pytest.mark.parametrize(
    ("outcome", "misbehave"), [("hung", "time.sleep(60)"), ("died", "os.abort()"), ("traceback", "[][1]")]
)
def test_a_reader_that_misbehaves_is_seen(outcome: str, misbehave: str, tmp_path: pathlib.Path) -> None:
    program = f"""
import os, pathlib, time
from fuzz_recordings import reading
reading.TIME_LIMIT = 0.5
reading.iterate_episodes = lambda path, config: {misbehave}
print(reading.read(pathlib.Path({str(tmp_path)!r})).outcome)
"""
    assert python("-c", program).stdout == f"{outcome}\n"
