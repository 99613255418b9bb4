"""Reads a request of openpi's client: what an ALOHA sees, and what else is wanted of the chunk."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping

import numpy as np

from chunk_ppo_ros.agent.serving.wire_format import MessageError
from chunk_ppo_ros.core.types import Observation
from chunk_ppo_ros.robot import aloha, images

STATE, IMAGES, PROMPT, LOG_PROBS = "state", "images", "prompt", "return_log_probs"
"""The keys of a request. The last one is this package's own."""
UNUSED_CAMERA = "cam_low"
"""The camera of ALOHA that openpi's policies have no input for. A request may have it."""
REQUIRED_CAMERA = aloha.ROBOT_CAMERAS["base_0_rgb"]
"""The camera that each request must have, as openpi's server wants it. Others may be missing."""

MAX_PROMPT = 4096
"""The length of the longest prompt that is read. Other clients wait while the tokens of a prompt are computed."""
_MAX_NAMED, _LONGEST_NAME = 8, 40


@dataclasses.dataclass(frozen=True)
class RequestForm:
    """Says what requests must look like.

    Attributes:
        cameras: the keys of the model's cameras, in its order.
        image_size: the side of the model's images, pixels.
        default_prompt: the prompt of requests without one; empty where each request must have one.
    """

    cameras: tuple[str, ...]
    image_size: int
    default_prompt: str


@dataclasses.dataclass(frozen=True)
class Request:
    """What a client asks for.

    Attributes:
        observation: what the robot sees.
        wants_log_probs: whether the answer has the tokens and their log-probabilities.
        missing_cameras: the cameras of the model that the request has not, by their names on the robot.
    """

    observation: Observation
    wants_log_probs: bool
    missing_cameras: tuple[str, ...]


def read_request(message: object, form: RequestForm) -> Request:
    """Returns what a message asks for. Images are resized with padding, as openpi's server does it.

    Args:
        message: the unpacked message.
        form: what it must look like.

    Raises:
        MessageError: where something is missing, or has another type, shape or range. The text names it.
    """
    if not isinstance(message, Mapping):
        raise MessageError(f"a request must be a map with {STATE} and {IMAGES}, got {type(message).__name__}")
    missing = [key for key in (STATE, IMAGES) if key not in message]
    if missing:
        found = _listed(message) or "nothing"
        raise MessageError(f"a request must have {STATE} and {IMAGES}, got no {' and '.join(missing)} but {found}")
    wants_log_probs = message.get(LOG_PROBS, False)
    if not isinstance(wants_log_probs, bool | np.bool_):
        raise MessageError(f"{LOG_PROBS} must be true or false, got {wants_log_probs!r:.40}")
    seen = _images(message[IMAGES], form)
    present = np.array([key in seen for key in form.cameras])
    shape = (form.image_size, form.image_size, 3)
    pictures = [seen[key] if key in seen else np.zeros(shape, np.uint8) for key in form.cameras]
    return Request(
        Observation(np.stack(pictures), present, _state(message[STATE]), _prompt(message.get(PROMPT), form)),
        bool(wants_log_probs),
        tuple(aloha.ROBOT_CAMERAS[key] for key in form.cameras if key not in seen),
    )


def _state(value: object) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.shape != (aloha.ACTION_DIM,) or value.dtype.kind not in "fiu":
        raise MessageError(
            f"{STATE} must be {aloha.ACTION_DIM} numbers (left arm, right arm: six joints in rad and the gripper, 0 "
            f"closed to 1 open), got {_form_of(value)}"
        )
    with np.errstate(over="ignore"):  # The check below refuses what does not fit.
        state = value.astype(np.float32)
    if not np.all(np.isfinite(state)):
        raise MessageError(f"{STATE} must be finite, got {value[~np.isfinite(state)][0]}")
    return state


def _prompt(value: object, form: RequestForm) -> str:
    if value is None:
        value = form.default_prompt
        if not value:
            raise MessageError(
                f"a request must have a {PROMPT}, because the policy knows several or none of its own, got none; send "
                f"one, or start the server with --prompt"
            )
    if not isinstance(value, str) or not value.strip():
        raise MessageError(f"{PROMPT} must be words, got {value!r:.60}")
    if len(value) > MAX_PROMPT:
        raise MessageError(f"{PROMPT} must have at most {MAX_PROMPT} characters, got {len(value)}; shorten it")
    return value


def _images(value: object, form: RequestForm) -> dict[str, np.ndarray]:
    """Returns the images of the model's cameras by their keys, uint8 [size, size, 3]."""
    known = (*aloha.MODEL_CAMERAS, UNUSED_CAMERA)
    if not isinstance(value, Mapping):
        raise MessageError(f"{IMAGES} must be a map from cameras to images, got {type(value).__name__}")
    unknown = [camera for camera in value if camera not in known]
    if unknown:
        raise MessageError(f"cameras must be among {', '.join(known)}, got {_listed(unknown)}")
    if REQUIRED_CAMERA not in value and aloha.MODEL_CAMERAS[REQUIRED_CAMERA] in form.cameras:
        raise MessageError(f"{IMAGES} must have {REQUIRED_CAMERA}, got {_listed(value) or 'none'}")
    used = {aloha.MODEL_CAMERAS[camera]: camera for camera in value if camera in aloha.MODEL_CAMERAS}
    return {key: _image(value[used[key]], used[key], form.image_size) for key in form.cameras if key in used}


def _image(value: object, camera: str, size: int) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.ndim != 3 or value.shape[0] != 3 or 0 in value.shape:
        raise MessageError(f"the image of {camera} must be [3, height, width], got {_form_of(value)}")
    if value.dtype.kind == "f":
        if not (np.all(value >= 0.0) and np.all(value <= 1.0)):
            raise MessageError(f"the image of {camera} must be of 0 to 1 where it is of floats, got others")
        value = (255 * value).astype(np.uint8)
    if value.dtype != np.uint8:
        raise MessageError(f"the image of {camera} must be uint8, or floats of 0 to 1, got {value.dtype}")
    try:
        return images.resize_with_pad(np.ascontiguousarray(value.transpose(1, 2, 0)), size)
    except ValueError as error:
        raise MessageError(f"the image of {camera} cannot be used: {error}") from error


def _listed(names: Iterable[object]) -> str:
    """Returns the names that a client gave, in which nothing is longer than a line or steers the terminal."""
    first = [repr(str(name))[1:-1][:_LONGEST_NAME] for name in itertools.islice(names, _MAX_NAMED + 1)]
    return ", ".join([*first[:_MAX_NAMED], *(["more"] if len(first) > _MAX_NAMED else [])])


def _form_of(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return type(value).__name__
