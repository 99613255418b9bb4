"""Tests the command `serve`: a real policy behind openpi's protocol, and what the command refuses."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.serving.default_prompt import default_prompt
from chunk_ppo_ros.config.entries.cameras import ROBOT_CAMERAS
from chunk_ppo_ros.core.types import Observation
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.robot import aloha
from support import small_policy
from support.policy_client import connected, observation

ROOT = Path(__file__).parents[1]
TIMEOUT = 120.0
STATE = aloha.START_POSE.astype(np.float32)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    config = small_policy.configure(folder, cameras=tuple(ROBOT_CAMERAS))
    return small_policy.save_own(folder / "step_7", config=config, tokenizer=small_policy.make_gentle_tokenizer())


class Served:
    """A process that serves, and the lines that it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.port = int(self.line_with(r"listening on ws://127\.0\.0\.1:(\d+); Ctrl-C ends"))

    def line_with(self, pattern: str) -> str:
        """Reads lines up to one that matches, and returns its first group."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            found = re.fullmatch(pattern, self.lines[-1])
            if found:
                return found[1]
        raise AssertionError(f"no line is {pattern} in {self.lines}")


@contextlib.contextmanager
def served(*arguments: str) -> Iterator[Served]:
    """Runs `serve` on a free port as a process of its own, and ends it."""
    command = [sys.executable, "-m", "chunk_ppo_ros", "serve", *arguments, "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield Served(process)
    finally:
        process.kill()
        process.communicate()


def test_a_checkpoint_is_served_as_its_actor_acts(checkpoint: Path, tmp_path: Path) -> None:
    with served(str(checkpoint)) as server, connected(server.port) as client:
        assert "a chunk has 4 actions, so give openpi's client --action_horizon 4 or less" in "\n".join(server.lines)
        assert client.metadata["reset_pose"] == STATE[:6].astype(float).round(6).tolist()
        assert (client.metadata["action_horizon"], client.metadata["default_prompt"]) == (4, "reach both balls")
        answer = client.infer(observation(state=STATE, return_log_probs=True))
        client.connection.close()
        server.process.send_signal(signal.SIGINT)
        rest, errors = server.process.communicate(timeout=TIMEOUT)
    assert server.process.returncode == 130
    assert re.search(r"client \S+ has left after 1 chunk, [\d.]+ ms \(median\)", rest)
    assert rest.splitlines()[-1].startswith("served 1 chunk, ")
    assert errors.endswith("serve: stopped\n") and "Traceback" not in errors
    config = small_policy.configure(tmp_path, cameras=tuple(ROBOT_CAMERAS))
    actor = Actor(config, Checkpoint.open(checkpoint), policy_version=7, greedy=True)
    images = np.full((3, 32, 32, 3), 100, np.uint8)
    chunk = actor.act(
        actor.observe(Observation(images, np.ones(3, bool), STATE, "reach both balls")), sequence_number=0
    )
    np.testing.assert_allclose(answer["actions"], chunk.actions, atol=1e-5)
    assert answer["policy_version"] == 7 and answer["log_prob"] == pytest.approx(chunk.log_prob, abs=1e-3)


def test_sigterm_ends_the_server_with_the_code_of_all_commands(checkpoint: Path) -> None:
    with served(str(checkpoint)) as server:
        server.process.send_signal(signal.SIGTERM)
        rest, errors = server.process.communicate(timeout=TIMEOUT)
    assert server.process.returncode == 143, errors
    assert rest.splitlines()[-1] == "served no chunk" and not errors


def test_only_a_policy_that_knows_one_prompt_has_a_default(checkpoint: Path, tmp_path: Path) -> None:
    own, foreign = Checkpoint.open(checkpoint), Checkpoint.open(small_policy.save_openpi(tmp_path / "openpi"))
    config = small_policy.configure(tmp_path)
    assert default_prompt(config, own, is_given=False) == "reach both balls"
    assert default_prompt(config, foreign, is_given=False) == ""
    told = dataclasses.replace(config, run=dataclasses.replace(config.run, prompt="wave"))
    assert default_prompt(told, foreign, is_given=True) == "wave"
    several = dataclasses.replace(config, episode=dataclasses.replace(config.episode, prompts=("wave", "reach")))
    assert default_prompt(several, own, is_given=True) == ""


def test_a_port_that_is_taken_is_known_before_anything_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "nowhere", "--port", str(port)]) == 2
    assert f"the port must be free, got {port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere"], "checkpoint nowhere must be a folder, got none of that name"),
        (["CHECKPOINT", "--port", "70000"], "--port must be within 0..65535, got 70000"),
        (["CHECKPOINT", "--action_horizon", "8"], "model.action_horizon: checkpoint 4, configuration 8"),
        (["CHECKPOINT", "--decoding", "likely"], "--decoding must be one of greedy, sample, got 'likely'"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(
    arguments: list[str], text: str, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(checkpoint) if argument == "CHECKPOINT" else argument for argument in arguments]
    try:
        status = main(["serve", *given])
    except SystemExit as error:
        status = int(error.code or 0)
    assert status == 2
    first, *usage = capsys.readouterr().err.splitlines()
    assert text in first and all(line.startswith("usage: ") for line in usage)
