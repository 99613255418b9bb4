"""Tests the video of an episode of an evaluation."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from chunk_ppo_ros.agent.env import simulated
from chunk_ppo_ros.config import PRESETS
from chunk_ppo_ros.evaluation import evaluate, video
from chunk_ppo_ros.sim.interface import Simulator

CONFIG = PRESETS["debug"]
START = 5


class Swinging:
    """A policy that moves both arms to and fro from where they are."""

    greedy = True

    def observe(self, observation: Any) -> np.ndarray:
        return np.asarray(observation.state, float)

    def act(self, state: np.ndarray, *, sequence_number: int) -> Any:
        waves = 0.4 * np.sin(np.linspace(0.0, 3.0, CONFIG.model.action_horizon))[:, None]

        @dataclasses.dataclass(frozen=True)
        class Chunk:
            asked_actions: np.ndarray
            valid: bool = True

        return Chunk(state + waves * np.r_[np.ones(6), 0.0, -np.ones(6), 0.0])


def measured() -> tuple[video.EpisodeCommands, np.ndarray]:
    """Returns the commands of two episodes, and the state of the robot at the end of the second one."""
    commands = video.EpisodeCommands()
    with simulated(CONFIG) as env:
        evaluate.evaluate_actor(Swinging(), env, starts=[1, START], name="swinging", on_outcome=commands)
        state, done = env.reset(seed=START).state, False
        while not done:
            actions = Swinging().act(np.asarray(state, float), sequence_number=0).asked_actions
            observation, _, done, _ = env.step_chunk(actions)
            state = observation.state
    return commands, state


def test_a_video_shows_the_same_motion_as_the_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands, end = measured()
    made: list[Simulator] = []
    make = video.make_simulator

    def keep(config: Any) -> Simulator:
        made.append(make(config))
        return made[-1]

    monkeypatch.setattr(video, "make_simulator", keep)
    video.write_video(tmp_path / "new" / "episode.mp4", CONFIG, start=START, commands=commands.of(1))
    np.testing.assert_allclose(made[0].state(), end, atol=1e-5)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["episode.mp4"]


def test_a_browser_can_play_the_video(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "episode.mp4"
    video.write_video(path, CONFIG, start=START, commands=measured()[0].of(1))
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # faststart
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.codec_context.width, stream.codec_context.height) == (3 * 224, 224)
        assert stream.average_rate == 25
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    # One frame at the start, one for every second of the 64 control steps, and the last one 15 times more.
    assert len(frames) == 1 + 32 + 15
    assert np.abs(frames[0].astype(int) - frames[20]).max() > 50
    assert len(content) < 200_000
    assert capfd.readouterr() == ("", "")


def test_a_video_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "episode.mp4"
    path.write_bytes(b"an earlier video")

    def fail(config: Any) -> Simulator:
        raise OSError("no space left")

    monkeypatch.setattr(video, "make_simulator", fail)
    with pytest.raises(OSError, match="no space left"):
        video.write_video(path, CONFIG, start=0, commands=np.zeros((2, 14)))
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"an earlier video"]


@pytest.mark.parametrize(
    ("before", "after", "episode"),
    [((0, 1, 0), (0, 1, 1), 2), ((1, 1, 1), (0, 1, 1), 1), ((0, 0), (0, 0), 0)],
    ids=["learned", "nothing learned", "nothing solved"],
)
def test_the_shown_episode_is_one_that_was_learned(
    before: tuple[int, ...], after: tuple[int, ...], episode: int
) -> None:
    assert video.shown_pair(before, after) == episode


def test_the_command_writes_a_video_and_says_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = video.EpisodeCommands()
    result = evaluate.EvaluationResult("step_1", "sample", *(np.array([0, 1]), np.zeros(2), np.zeros(2), np.ones(2)))
    written: list[tuple[Path, int]] = []
    monkeypatch.setattr(evaluate, "EpisodeCommands", lambda: commands)
    monkeypatch.setattr(evaluate.Checkpoint, "open", lambda path: None)
    monkeypatch.setattr(evaluate, "config_for_measuring", lambda *_: CONFIG)
    monkeypatch.setattr(evaluate, "print_history", lambda *_: None)
    monkeypatch.setattr(evaluate, "evaluate_checkpoint", lambda *_, **__: result)
    monkeypatch.setattr(evaluate, "write_video", lambda path, config, *, start, commands: written.append((path, start)))
    path = tmp_path / "episode.mp4"
    assert evaluate.main(["somewhere", "--episodes", "2", "--video", str(path)]) == 0
    assert written == [(path, evaluate.evaluation_start(CONFIG.run.seed, 1))]
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {path}, start 1, solved"
