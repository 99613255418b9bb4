"""Tests the server of openpi's protocol over loopback, with a stand-in for the policy and a client of our own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosedError

from chunk_ppo_ros.agent.serving import server as server_module
from chunk_ppo_ros.agent.serving.requests import RequestForm
from chunk_ppo_ros.agent.serving.served_policy import ServedPolicy
from chunk_ppo_ros.agent.serving.server import PolicyServer
from chunk_ppo_ros.config.entries.cameras import ROBOT_CAMERAS
from chunk_ppo_ros.core.errors import BrokenWeights, SettingError
from chunk_ppo_ros.core.types import ModelObservation, Observation, SampledChunk
from support.policy_client import connected, observation, packed, serving

FORM = RequestForm(tuple(ROBOT_CAMERAS), 16, "reach both balls")
METADATA: dict[str, object] = {"action_horizon": 5, "reset_pose": [0.0, -0.96, 1.16, 0.0, -0.3, 0.0]}
OPENPI = os.environ.get("CHUNK_PPO_OPENPI_PYTHON", "")
"""The Python of an environment in which openpi-client is installed (docs/bridges.md)."""


class StandIn:
    """A policy whose action is the state and whose value is the length of the prompt, called one at a time."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []
        self.sequence_numbers: list[int] = []
        self._alone = threading.Lock()

    def observe(self, seen: Observation) -> ModelObservation:
        if len(seen.prompt) > 40:
            raise ValueError("prompt must be at most 40 letters")
        self.seen.append(seen)
        prompt = np.zeros(4, np.int32)
        return ModelObservation(seen.images, seen.image_mask, prompt, prompt == 0, seen.state)

    def act(self, seen: ModelObservation, *, sequence_number: int) -> SampledChunk:
        assert self._alone.acquire(blocking=False), "two requests at once"
        time.sleep(0.01)
        self.sequence_numbers.append(sequence_number)
        self._alone.release()
        if self.seen[-1].prompt == "break":
            raise BrokenWeights("numbers must be finite")
        if self.seen[-1].prompt == "crash":
            raise KeyError("unforeseen")
        return SampledChunk(
            observation=seen,
            action_tokens=np.array([3, 4, 0], np.int32),
            token_mask=np.array([True, True, False]),
            token_log_probs=np.array([-0.5, -0.25, 0.0], np.float32),
            value=float(len(self.seen[-1].prompt)),
            actions=np.tile(seen.state, (5, 1)),
            policy_version=7,
            temperature=0.5,
            num_steps_asked=5,
            entropy=0.1,
        )


@pytest.fixture
def policy() -> StandIn:
    return StandIn()


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def port(policy: StandIn, lines: list[str]) -> Iterator[int]:
    with serving(ServedPolicy(policy, FORM, lines.append).answer, METADATA, lines) as taken:
        yield taken


def test_a_client_gets_the_metadata_and_then_chunks(port: int, policy: StandIn) -> None:
    with connected(port) as client:
        assert client.metadata == METADATA
        answer = client.infer(observation())
        client.infer(observation(prompt="wave"))
    np.testing.assert_array_equal(answer["actions"], np.tile(np.linspace(0.0, 0.5, 14, dtype=np.float32), (5, 1)))
    assert answer["policy_version"] == 7 and answer["server_timing"]["infer_ms"] >= 10.0
    assert policy.seen[0].prompt == "reach both balls"
    assert policy.seen[1].prompt == "wave" and policy.sequence_numbers == [0, 1]


def test_log_probs_come_on_request_and_no_array_beside_the_actions(port: int) -> None:
    """openpi's ActionChunkBroker cuts every array of an answer along its first axis, as many times as actions."""
    with connected(port) as client:
        assert "log_prob" not in client.infer(observation())
        answer = client.infer(observation(return_log_probs=True))
    assert answer["log_prob"] == -0.75 and answer["temperature"] == 0.5 and answer["value"] == 16.0
    assert answer["token_log_probs"] == [-0.5, -0.25, 0.0]
    assert (answer["action_tokens"], answer["token_mask"]) == ([3, 4, 0], [True, True, False])
    assert [key for key, value in answer.items() if isinstance(value, np.ndarray)] == ["actions"]


def test_images_are_resized_and_ordered_and_missing_cameras_are_told_once(
    port: int, policy: StandIn, lines: list[str]
) -> None:
    right, unused = np.full((3, 8, 16), 200, np.uint8), np.zeros((3, 8, 8), np.uint8)
    high = np.full((3, 8, 8), 0.4, np.float32)  # floats of 0 to 1
    with connected(port) as client:
        for _ in range(2):
            client.infer(observation(images={"cam_right_wrist": right, "cam_high": high, "cam_low": unused}))
        client.infer(observation())
    seen = policy.seen[0]
    assert seen.image_mask.tolist() == [True, False, True] and seen.images.shape == (3, 16, 16, 3)
    assert (seen.images[0] == 102).all() and not seen.images[1].any()
    assert (seen.images[2, 4:12] == 200).all() and not seen.images[2, :4].any()
    told = [line for line in lines if line.startswith("requests ")]
    assert told == ["requests have no cam_left_wrist; the policy acts without", "requests have all cameras now"]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"\xc1nothing", "must be packed by msgpack"),
        ("words", "must be a binary message"),
        (packed([1, 2]), "a request must be a map with state and images, got list"),
        (packed(observation(state=np.zeros(7))), "state must be 14 numbers"),
        (packed(observation(prompt="x" * 41)), "prompt must be at most 40 letters"),
        (packed(observation(prompt="break")), "numbers must be finite"),
        (packed(observation(prompt="crash")), "Traceback"),
    ],
    ids=["no msgpack", "a text", "no map", "a short state", "a long prompt", "broken weights", "a crash"],
)
def test_a_bad_message_gets_its_reason_and_the_server_goes_on(
    message: bytes | str, text: str, port: int, lines: list[str]
) -> None:
    with connected(port) as client:
        client.connection.send(message)
        answer = client.receive()
        assert isinstance(answer, str) and text in answer
        with pytest.raises(ConnectionClosedError) as closed:
            client.receive()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1011
    with connected(port) as client:
        assert client.infer(observation())["actions"].shape == (5, 14)
    assert sum("is refused: " in line for line in lines) == 1


def test_several_clients_at_once_are_answered_one_at_a_time(policy: StandIn, lines: list[str]) -> None:
    def ask(port: int, number: int) -> list[float]:
        with connected(port) as client:
            return [client.infer(observation(state=np.full(14, number / 8)))["actions"][0, 0] for _ in range(5)]

    answer = ServedPolicy(policy, FORM, lines.append).answer
    with serving(answer, METADATA, lines) as port, concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, [port] * 4, range(4)))
    assert found == [[number / 8] * 5 for number in range(4)]
    assert sorted(policy.sequence_numbers) == list(range(20))
    assert sum("has left after 5 chunks" in line for line in lines) == 4


def test_a_message_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MAX_MESSAGE", 1000)
    with serving(lambda data: {}, METADATA, []) as small, connected(small) as client:
        with pytest.raises(ConnectionClosedError) as closed:
            client.infer({"state": np.zeros(1000)})
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


def test_what_is_no_websocket_does_not_end_the_server(port: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
        assert (answer.status, answer.read()) == (200, b"OK\n")
    with socket.create_connection(("127.0.0.1", port)) as stranger:
        stranger.sendall(b"hello\r\n\r\n")
        stranger.recv(1000)
    with connected(port) as client:
        assert client.metadata == METADATA


def test_what_the_library_logs_is_one_line() -> None:
    lines: list[str] = []
    with (
        serving(lambda data: {}, {"a path": Path()}, lines) as port,
        pytest.raises(ConnectionClosedError),
        connected(port),
    ):
        pass
    assert lines[1] == (
        "a connection failed: connection handler failed (a message must hold numbers, texts, lists, maps and arrays, "
        "got PosixPath)"
    )


def test_a_port_in_use_is_one_clear_line(port: int) -> None:
    async def run(host: str) -> None:
        server = PolicyServer(lambda data: {}, metadata={}, report=print)
        await server.run(host, port, stop=asyncio.Event())

    with pytest.raises(SettingError, match=rf"port must be free, got {port}, on which another program listens"):
        asyncio.run(run("127.0.0.1"))
    with pytest.raises(SettingError, match=r"address must be one of this machine, got 192\.0\.2\.1"):
        asyncio.run(run("192.0.2.1"))


@pytest.mark.skipif(not OPENPI, reason="CHUNK_PPO_OPENPI_PYTHON names no Python with openpi-client (docs/bridges.md)")
def test_openpis_own_client_gets_chunks_step_by_step(port: int) -> None:
    """The client runs in its own environment, because it wants an older numpy."""
    script = """
import json, sys
import numpy as np
from openpi_client import action_chunk_broker, websocket_client_policy
client = websocket_client_policy.WebsocketClientPolicy("127.0.0.1", int(sys.argv[1]))
broker = action_chunk_broker.ActionChunkBroker(client, action_horizon=5)
pictures = {name: np.zeros((3, 224, 224), np.uint8) for name in ("cam_high", "cam_low", "cam_left_wrist")}
steps = []
for step in range(12):
    seen = {"state": np.full(14, step / 4), "images": pictures, "return_log_probs": True}
    steps.append(broker.infer(seen))
try:
    client.infer({"state": np.zeros(3)})
except RuntimeError as error:
    refused = str(error)
print(json.dumps({
    "metadata": client.get_server_metadata(), "refused": refused,
    "actions": [step["actions"].tolist() for step in steps], "log_probs": [step["token_log_probs"] for step in steps],
}))
"""
    done = subprocess.run([OPENPI, "-c", script, str(port)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["metadata"] == METADATA and "got no images but state" in found["refused"]
    assert found["actions"] == [[first / 4] * 14 for first in [0] * 5 + [5] * 5 + [10] * 2]
    assert found["log_probs"] == [[-0.5, -0.25, 0.0]] * 12
