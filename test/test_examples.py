"""Runs the examples of own parts: a task, reward terms, a reward source, a robot back end, and demonstrations."""

from __future__ import annotations

import ast
import io
import pathlib
import subprocess
import sys
import tokenize
from collections.abc import Iterator

import numpy as np
import pytest
import rclpy
from chunk_ppo_msgs.msg import ExecutionResult, TaskReward
from rclpy.node import Node
from sensor_msgs.msg import JointState

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.config import PRESETS, RewardConfig, RobotConfig, from_dict
from chunk_ppo_ros.core.execution import ExecutionResult as Execution
from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.nodes.robot.robot_backends import make_backend
from chunk_ppo_ros.rewards.execution_terms import execution_terms
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.simulator import make_simulator
from support.lone_node import lone_node

ROOT = pathlib.Path(__file__).parents[1]
OWN = sorted((ROOT / "examples").glob("own_*.py"))
MAX_LINES = 50


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs each test where users run the examples: in the folder of the checkout."""
    monkeypatch.chdir(ROOT)


@pytest.fixture
def node() -> Iterator[Node]:
    with lone_node() as node:
        yield node


def code_lines(path: pathlib.Path) -> int:
    """Returns the number of lines with code: without blank lines, comments and docstrings."""
    source = path.read_text(encoding="utf-8")
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in quiet
        for line in range(token.start[0], token.end[0] + 1)
    }
    for each in ast.walk(ast.parse(source)):
        if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str):
            lines -= set(range(each.lineno, (each.end_lineno or each.lineno) + 1))
    return len(lines)


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_an_example_is_short(path: pathlib.Path) -> None:
    assert code_lines(path) < MAX_LINES


def test_the_task_passes_its_check(tmp_path: pathlib.Path) -> None:
    picture = tmp_path / "touch.png"
    flags = ["--config", "debug", "--max_episode_chunks", "8", "--episodes", "10", "--picture", str(picture)]
    command = [sys.executable, "-m", "chunk_ppo_ros", "check-task", "examples.own_task:Touch", *flags]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert checked.returncode == 0, checked.stderr
    assert "0 WARN, 0 ERROR" in checked.stdout
    assert picture.exists()


def test_the_scene_term_counts_steps_in_which_the_grippers_are_near() -> None:
    config = from_dict(
        type(PRESETS["debug"]),
        {"reward": {"scene_terms": ["examples.own_reward:near_each_other=-0.01"]}},
        base=PRESETS["debug"],
    )
    simulator = make_simulator(config, render=False)
    far = simulator.step(simulator.state())
    assert far.terms[-1].name == "near_each_other"
    assert (far.terms[-1].value, far.terms[-1].weight) == (0.0, -0.01)


def test_the_execution_term_sums_the_turns_of_the_executed_steps() -> None:
    config = RewardConfig(execution_terms=("examples.own_reward:travel=-0.05",))
    actions = np.zeros((4, 14), np.float32)
    actions[:, 0] = [0.0, 0.1, 0.3, 9.0]  # the last step was not executed
    actions[:, aloha.GRIPPER_INDICES] = np.linspace(0.0, 1.0, 4)[:, None]  # grippers do not count
    execution = Execution(status=Status.EXECUTED, num_steps=3)
    (term,) = execution_terms(execution, actions, config)
    assert (term.name, term.weight) == ("travel", -0.05)
    assert term.value == pytest.approx(0.3)


def test_the_reward_source_answers_each_result_once_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.own_reward_source import Scale

    rclpy.init()
    try:
        scale = Scale()
        sent: list[TaskReward] = []
        readings = iter([0.25, 0.5])
        monkeypatch.setattr(scale.publisher, "publish", sent.append)
        monkeypatch.setattr(scale, "poured_since_last_chunk", lambda: next(readings))
        result = ExecutionResult(run_id="run", sender="robot_0", num_steps=16)
        result.header.stamp.sec = 5
        scale.on_result(result)
        scale.on_result(result)
        scale.on_result(ExecutionResult(num_steps=0))
        scale.destroy_node()
    finally:
        rclpy.shutdown()
    assert [(each.source, each.header.stamp.sec, each.terms[0].value) for each in sent] == [("scale", 5, 0.25)] * 2
    assert (sent[0].run_id, sent[0].sender) == ("run", "robot_0")


def test_the_back_end_says_who_does_not_listen_and_sends_both_arms(node: Node) -> None:
    backend = make_backend(node, RobotConfig(backend="examples.own_backend:MyArms"))
    assert "nobody listens to /my_left_arm/command, /my_right_arm/command" in backend.problem()  # type: ignore[attr-defined]
    sent: list[JointState] = []
    for each in backend.publishers:  # type: ignore[attr-defined]
        each.publish = sent.append
    backend.send(np.arange(14.0), stamp=3_000_000_007)
    left, right = sent
    assert list(left.name) == [*aloha.ARM_JOINTS, aloha.GRIPPER] == list(right.name)
    assert left.position.tolist() == list(range(7))
    assert right.position.tolist() == list(range(7, 14))
    assert (left.header.stamp.sec, left.header.stamp.nanosec) == (3, 7)


def test_the_demonstrations_are_read(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, str(ROOT / "examples" / "own_demonstrations.py"), str(tmp_path / "own")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert main(["inspect", str(tmp_path / "own")]) == 0
    found = capsys.readouterr().out
    assert "0 ask, 0 refuse" in found
    assert "'wave with both arms' (4 episodes)" in found
    assert "states follow actions by 20 ms" in found
