"""Tests the commands `topic` and `call`, which look at a graph where ROS's own commands are missing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest
import rclpy
from chunk_ppo_msgs.msg import ActionChunk, EpisodeState, TaskReward
from chunk_ppo_msgs.srv import EndEpisode
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import Imu
from std_msgs.msg import Float32
from std_srvs.srv import SetBool

from chunk_ppo_ros.core.errors import SettingError, UserError
from chunk_ppo_ros.nodes.command_line.messages import as_plain, as_yaml, field_of, fill, load_type
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.runtime import ros_domain
from support.spinner import spinning

pytestmark = pytest.mark.graph


class Referee(Node):
    """Publishes a latched state and numbers, hears feedback, and answers two services."""

    def __init__(self) -> None:
        super().__init__("reward_node", use_global_arguments=False)
        state = topics.EPISODE_STATE.create_publisher(self)
        state.publish(EpisodeState(prompt="wave", episode=7))
        self._numbers = self.create_publisher(Float32, "numbers", 10)
        self.create_timer(0.05, lambda: self._numbers.publish(Float32(data=2.5)))
        self.heard: list[float] = []
        self.create_subscription(Float32, "human_feedback", lambda message: self.heard.append(message.data), 10)
        self.asked: list[int] = []
        self.create_service(EndEpisode, "~/end_episode", self._end)
        self.create_service(SetBool, "~/pause", lambda _, answer: answer)

    def _end(self, request: EndEpisode.Request, answer: EndEpisode.Response) -> EndEpisode.Response:
        self.asked.append(request.outcome)
        answer.success, answer.message = True, "episode 7 is a success"
        return answer


@pytest.fixture(scope="module")
def referee() -> Iterator[Referee]:
    rclpy.init()
    node = Referee()
    with spinning(node):
        yield node
    rclpy.shutdown()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chunk_ppo_ros", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)


def test_topics_are_listed_with_their_types(referee: Referee) -> None:
    result = run("topic", "list")
    assert result.returncode == 0, result.stderr
    listed = result.stdout.split()
    assert {"/episode_state", "/numbers", "/human_feedback"} <= set(listed)
    assert "/rosout" not in listed
    line = next(each for each in run("topic", "list", "--types").stdout.splitlines() if each.startswith("/numbers "))
    assert "std_msgs/msg/Float32" in line
    assert "1 publish, 0 listen" in line


def test_a_latched_message_is_shown_although_it_was_sent_before(referee: Referee) -> None:
    shown = run("topic", "echo", "/episode_state", "--once", "--timeout", "30")
    assert shown.returncode == 0, shown.stderr
    assert "prompt: wave" in shown.stdout
    assert shown.stdout.endswith("---\n")
    assert run("topic", "echo", "episode_state", "--field", "episode", "--once").stdout == "7\n---\n"


def test_the_rate_of_a_topic_is_measured(referee: Referee) -> None:
    last = run("topic", "hz", "/numbers", "--seconds", "2").stdout.splitlines()[-1]
    assert 2.0 < float(last.split()[0]) <= 25.0  # it is sent at 20 Hz, and slower on a busy machine


def test_the_rate_of_a_topic_that_falls_silent_is_told_too(referee: Referee) -> None:
    lines = run("topic", "hz", "/episode_state", "--seconds", "1").stdout.splitlines()
    assert set(lines) == {"1 message so far"}


def test_ctrl_c_ends_a_look_with_the_code_of_all_commands(referee: Referee) -> None:
    command = [sys.executable, "-m", "chunk_ppo_ros", "topic", "echo", "/numbers"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "{data: 2.5}\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr is not None and process.stderr.read().endswith("topic: stopped\n")


def test_a_message_is_published(referee: Referee) -> None:
    assert run("topic", "pub", "/human_feedback", "std_msgs/msg/Float32", "{data: 1.5}").returncode == 0
    for _ in range(100):
        if referee.heard:
            break
        time.sleep(0.05)
    assert referee.heard == [1.5]


def test_a_service_is_called_with_or_without_its_type(referee: Referee) -> None:
    answer = run("call", "/reward_node/end_episode", "{outcome: 1}")
    assert answer.returncode == 0, answer.stderr
    assert "message: episode 7 is a success" in answer.stdout
    run("call", "/reward_node/end_episode", "chunk_ppo_msgs/srv/EndEpisode", "{outcome: 2}")
    assert referee.asked == [1, 2]
    assert run("call", "/reward_node/pause", "{data: true}").returncode == 1  # the answer says success: false
    assert "/reward_node/end_episode" in run("call", "--list").stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["topic", "echo", "/episode_stat"],
            "must be in ROS domain .* got none within 10 s; did you mean /episode_state?",
        ),
        (["topic"], "topic: action must be given, got nothing"),
        (["topic", "echo"], "echo needs the name of a topic"),
        (["topic", "list", "/episode_state"], "list takes no name, got /episode_state"),
        (["topic", "echo", "/episode_state", "chunk_ppo_msgs/msg/EpisodeState"], "takes the name of a topic alone"),
        (["topic", "pub", "/human_feedback"], "pub needs a type, and its fields in one text"),
        (
            ["topic", "echo", "/human_feedback", "--once", "--timeout", "1"],
            "nothing came on /human_feedback within 1 s",
        ),
        (["call", "/reward_node/end_episode", "{outcome: x}"], "outcome must be of type uint8, got 'x'"),
        (["call", "/reward_node/end_episode", "std_srvs/srv/Trigger"], "with its type chunk_ppo_msgs/srv/EndEpisode"),
        (["call"], "a service must be named"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_2(referee: Referee, arguments: list[str], text: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert re.search(text.replace("state?", r"state\?"), result.stderr), result.stderr
    assert "Traceback" not in result.stderr


def test_long_arrays_are_cut_and_nested_messages_are_shown() -> None:
    chunk = ActionChunk(actions=np.arange(224, dtype=np.float32))
    shown = as_plain(chunk)
    assert shown["actions"][:3] == [0.0, 1.0, 2.0]
    assert shown["actions"][-1] == "... 224 elements"
    assert len(as_plain(chunk, shown=None)["actions"]) == 224
    assert shown["header"]["stamp"] == {"sec": 0, "nanosec": 0}
    assert as_plain(np.array([1, 2], np.uint8)) == [1, 2]  # as a field such as uint8[16] is
    assert as_yaml({"a": [1, 2]}) == "a: [1, 2]"
    assert as_yaml(float("nan")) == "nan"


def test_messages_are_filled_from_yaml() -> None:
    text = "{header: {stamp: {sec: 12}}, source: scale, terms: [{name: poured_kg, value: 1, weight: 2.0}]}"
    reward = fill(TaskReward(), text)
    assert (reward.header.stamp.sec, reward.source) == (12, "scale")
    assert (reward.terms[0].name, reward.terms[0].value) == ("poured_kg", 1.0)
    assert field_of(reward, "terms.0.value") == 1.0
    for wrong, message in (
        ("{sorce: x}", "sorce must be one of the fields header"),
        ("{header: 3}", "header must have its fields as YAML"),
        ("[1", "the fields must be YAML"),
        ("{source: 3}", "source must be of type string, got 3"),
        ("{terminated: 1}", "terminated must be of type boolean, got 1"),
        ("{format: {version: true}}", "format.version must be of type"),
        ("{terms: {name: x}}", "terms must be of type sequence"),
        ("{terms: [{nam: x}]}", r"terms\.0\.nam must be one of the fields name"),
    ):
        with pytest.raises(UserError, match=message):
            fill(TaskReward(), wrong)
    with pytest.raises(UserError, match="instead of 'stam' there are stamp, frame_id"):
        field_of(reward, "header.stam")


@pytest.mark.parametrize(
    ("message", "text", "wrong"),
    [
        (EndEpisode.Request(), "{outcome: 257}", "outcome must be of type uint8, got 257"),
        (EndEpisode.Request(), "{outcome: -1}", "outcome must be of type uint8, got -1"),
        (TaskReward(), "{header: {stamp: {sec: 2147483648}}}", "header.stamp.sec must be of type int32"),
        (Imu(), "{orientation_covariance: [1.0, 2.0]}", r"must be of type double\[9\], got \[1.0, 2.0\]"),
        (DiagnosticStatus(), "{level: 256}", "level must be of type octet, got 256"),
    ],
)
def test_numbers_and_arrays_that_a_message_cannot_hold_are_refused(message: object, text: str, wrong: str) -> None:
    """The generated classes take them, and others hear another number: 257 would be 1, which is a success."""
    with pytest.raises(UserError, match=wrong):
        fill(message, text)


def test_the_limits_of_types_are_taken() -> None:
    assert fill(EndEpisode.Request(), "{outcome: 255}").outcome == 255
    assert fill(TaskReward(), "{header: {stamp: {sec: -2147483648}}}").header.stamp.sec == -(2**31)
    assert fill(DiagnosticStatus(), "{level: 2}").level == b"\x02"
    filled = fill(Imu(), "{orientation_covariance: [0, 1, 2, 3, 4, 5, 6, 7, 8]}")
    assert str(as_plain(filled)["orientation_covariance"][:2]) == "[0.0, 1.0]"


def test_an_element_of_any_array_is_a_field() -> None:
    """An array of a fixed size is one of numpy, one of numbers is an array.array, and one of messages is a list."""
    covariance = Imu(orientation_covariance=np.arange(9.0))
    assert as_yaml(as_plain(field_of(covariance, "orientation_covariance.8"))) == "8.0"
    assert field_of(ActionChunk(actions=np.arange(3, dtype=np.float32)), "actions.2") == 2.0
    for wrong, there in (
        ("orientation_covariance.9", "instead of '9' there are elements 0 to 8"),
        ("orientation_covariance.x", "instead of 'x' there are elements 0 to 8"),
        ("header.frame_id.0", "instead of '0' there are no fields"),
        ("orientation.x.y", "instead of 'y' there are no fields"),
    ):
        with pytest.raises(UserError, match=there):
            field_of(covariance, wrong)
    with pytest.raises(UserError, match="instead of '0' there are no elements"):
        field_of(TaskReward(), "terms.0")


def test_types_are_named_as_ros_names_them() -> None:
    assert load_type("std_msgs/msg/Float32") is Float32
    assert load_type("std_srvs/srv/SetBool", kind="srv") is SetBool
    for wrong in ("Float32", "/msg/Float32", "./msg/Float32", "std_srvs/srv/SetBool"):
        with pytest.raises(UserError, match="a message type must be written like std_msgs/msg/Float32"):
            load_type(wrong)
    with pytest.raises(UserError, match="must be installed here, got No module named 'no_msgs'"):
        load_type("no_msgs/msg/Thing")


def test_the_only_graph_of_this_machine_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(ros_domain.claimed_domains())
    with ros_domain.claim_domain(run="mine") as claimed:
        mine = ros_domain.ClaimedDomain(claimed, "mine")
        assert set(ros_domain.claimed_domains()) - before == {mine}
        assert ros_domain.find_domain(5) == 5
        monkeypatch.setenv("ROS_DOMAIN_ID", "6")
        assert ros_domain.find_domain() == 6
        monkeypatch.setenv("ROS_DOMAIN_ID", "six")
        with pytest.raises(SettingError, match=r"must be a number of 0\.\.232, got 'six'"):
            ros_domain.find_domain()
        monkeypatch.delenv("ROS_DOMAIN_ID")
        monkeypatch.setattr(ros_domain, "claimed_domains", lambda: (mine,))
        assert ros_domain.find_domain() == claimed
        monkeypatch.setattr(ros_domain, "claimed_domains", lambda: (ros_domain.ClaimedDomain(0, ""), mine))
        text = rf"got graphs in the ROS domains 0, {claimed} \(run mine\); name one by --domain_id"
        with pytest.raises(SettingError, match=text):
            ros_domain.find_domain()
        monkeypatch.setattr(ros_domain, "claimed_domains", tuple)
        assert ros_domain.find_domain() == 0
    assert mine not in ros_domain.claimed_domains()
    assert os.environ.get("ROS_DOMAIN_ID") is None


def test_a_graph_in_a_domain_that_was_asked_for_is_known_too() -> None:
    """So a call on a machine with a robot in domain 0 and a simulation does not reach the simulation by itself."""
    with ros_domain.claim_domain(203, run="robot") as first, ros_domain.claim_domain(203, run="second") as second:
        assert (first, second) == (203, 203)
        known = {domain.number: domain.run for domain in ros_domain.claimed_domains()}
        assert known[203] == "second"
        with ros_domain.claim_domain() as free:
            assert free != 203
    assert 203 not in {domain.number for domain in ros_domain.claimed_domains()}


def test_a_look_for_a_free_domain_leaves_the_names_of_the_runs() -> None:
    with ros_domain.claim_domain(run="mine") as claimed, ros_domain.claim_domain(run="other"):
        assert ros_domain.ClaimedDomain(claimed, "mine") in ros_domain.claimed_domains()
