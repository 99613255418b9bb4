"""Tests what a request of openpi's protocol must be, and how arrays go over the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from chunk_ppo_ros.agent.serving.requests import RequestForm, read_request
from chunk_ppo_ros.agent.serving.wire_format import MessageError, pack, unpack
from chunk_ppo_ros.config.entries.cameras import ROBOT_CAMERAS
from support.policy_client import observation

FORM = RequestForm(tuple(ROBOT_CAMERAS), 16, "reach both balls")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"state": None}, "got no state but images"),
        ({"state": [0.0] * 14}, "state must be 14 numbers .* got list"),
        ({"state": np.full(14, np.nan)}, "state must be finite, got nan"),
        ({"state": np.full(14, 1e300)}, "state must be finite, got 1e\\+300"),
        ({"state": np.zeros(14, bool)}, "state must be 14 numbers .* got bool \\[14\\]"),
        ({"images": []}, "images must be a map from cameras to images, got list"),
        ({"images": {}}, "images must have cam_high, got none"),
        ({"images": {"base_0_rgb": 0}}, "cameras must be among cam_high, .*cam_low, got base_0_rgb"),
        (
            {"images": {"cam_high": np.zeros((8, 8, 3), np.uint8)}},
            "must be \\[3, height, width\\], got uint8 \\[8, 8, 3",
        ),
        ({"images": {"cam_high": np.zeros((3, 0, 8), np.uint8)}}, "must be \\[3, height, width\\]"),
        ({"images": {"cam_high": np.zeros((3, 8, 8), np.int32)}}, "must be uint8, or floats of 0 to 1, got int32"),
        ({"images": {"cam_high": np.full((3, 8, 8), 255.0)}}, "of 0 to 1 where it is of floats"),
        ({"images": {"cam_high": np.zeros((3, 1, 999), np.uint8)}}, "cannot be used: image must be at most"),
        ({"prompt": 3}, "prompt must be words, got 3"),
        ({"prompt": " "}, "prompt must be words"),
        ({"prompt": "a" * 5000}, "prompt must have at most 4096 characters, got 5000"),
        ({"images": {"\x1b[2J\n" + "x" * 99: 0}}, r"cam_low, got \\x1b\[2J\\nx{31}$"),
        ({"images": {str(number): 0 for number in range(1000)}}, r"got 0, 1, 2, 3, 4, 5, 6, 7, more$"),
        ({"return_log_probs": "yes"}, "return_log_probs must be true or false, got 'yes'"),
    ],
)
def test_what_a_request_must_be_is_said(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(MessageError, match=text):
        read_request(observation(**changes), FORM)


def test_a_policy_without_a_prompt_of_its_own_wants_one_in_each_request() -> None:
    form = RequestForm(tuple(ROBOT_CAMERAS), 16, "")
    with pytest.raises(MessageError, match=r"must have a prompt, .* start the server with --prompt"):
        read_request(observation(), form)
    assert read_request(observation(prompt="wave"), form).observation.prompt == "wave"


@pytest.mark.parametrize(
    ("array", "text"),
    [
        ({b"dtype": "|O"}, "must be of bools, ints or floats, got the dtype '|O'"),
        ({b"dtype": "nonsense"}, "got the dtype 'nonsense'"),
        ({b"dtype": None}, "got the dtype None"),
        ({b"shape": [3]}, r"of shape \[3\] and dtype float32 must have 12 bytes, got 8"),
        ({b"shape": [-2]}, r"must have bytes and a shape, got bytes and \[-2\]"),
        ({b"shape": [1] * 1000}, r"must have bytes and a shape, got bytes and \[1, 1, 1"),
        ({b"data": "12345678"}, "must have bytes and a shape, got str"),
    ],
)
def test_damaged_arrays_are_refused(array: dict[bytes, Any], text: str) -> None:
    whole = {b"__ndarray__": True, b"data": bytes(8), b"dtype": "<f4", b"shape": [2]}
    assert unpack(msgpack.packb(whole)).shape == (2,)  # type: ignore[attr-defined]
    with pytest.raises(MessageError, match=text):
        unpack(msgpack.packb({**whole, **array}))


def test_arrays_and_numbers_go_through_the_wire_unchanged() -> None:
    message = {
        "a": np.arange(6, dtype=np.int16).reshape(2, 3),
        "b": np.float32(0.5),
        "c": [1, "x"],
        "d": np.zeros((0, 3)),
    }
    back = unpack(pack(message))
    assert isinstance(back, dict) and back["c"] == [1, "x"] and back["b"] == np.float32(0.5)
    for key in ("a", "d"):
        assert back[key].dtype == message[key].dtype  # type: ignore[attr-defined]
        np.testing.assert_array_equal(back[key], message[key])
    with pytest.raises(TypeError, match="got PosixPath"):
        pack({"path": Path()})
