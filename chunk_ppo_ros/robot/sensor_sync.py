"""Matches the newest camera images and joint states in time, and finds the sensors that are silent.

Stamps are integers in ns, as the sensors give them. `now` is the time of a steady clock in s, which only measures how
long a sensor is silent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from chunk_ppo_ros.robot import aloha


@dataclasses.dataclass(frozen=True)
class SyncedSensors:
    """Holds one reading of each sensor. All were taken close together in time.

    Attributes:
        images: the image uint8 [h, w, 3] of each of the C cameras in order; None where a camera is absent.
        image_mask: bool [C], false where a camera is absent.
        state: float32 [14], the joint angles of both arms, rad, and their normalized grippers.
        stamp: the stamp of the oldest reading, ns.
        newest: the stamp of the newest reading, ns.
    """

    images: tuple[np.ndarray | None, ...]
    image_mask: np.ndarray
    state: np.ndarray
    stamp: int
    newest: int


@dataclasses.dataclass(frozen=True)
class SilentSensor:
    """Describes a sensor that has sent nothing new for some time.

    Attributes:
        name: the name of a camera, or "left arm" or "right arm".
        silence: the time without a newer reading, s.
        frozen: whether the sensor still sends, but with a stamp that does not advance.
    """

    name: str
    silence: float
    frozen: bool

    def __str__(self) -> str:
        how = "repeats an old stamp" if self.frozen else "is silent"
        return f"{self.name} {how} for {self.silence:.1f} s"


@dataclasses.dataclass(frozen=True)
class _Reading:
    """Holds a reading with its stamp in ns. `repeated` says whether the sensor has sent the same stamp again."""

    value: np.ndarray
    stamp: int
    repeated: bool = False


@dataclasses.dataclass
class _Source:
    """Holds the newest reading of one sensor, if it has sent any, and since when (steady s) nothing newer has come."""

    quiet_since: float
    reading: _Reading | None = None

    def add(self, value: np.ndarray, stamp: int, now: float) -> None:
        """Takes a reading. It is ignored where its stamp is that of the newest reading."""
        if self.reading is not None and self.reading.stamp == stamp:
            self.reading = dataclasses.replace(self.reading, repeated=True)
        else:
            self.reading, self.quiet_since = _Reading(value, stamp), now


class SensorSync:
    """Keeps the newest reading of every camera and both arms."""

    def __init__(self, cameras: tuple[str, ...], *, optional_cameras: tuple[str, ...] = (), now: float) -> None:
        """Begins without readings.

        Args:
            cameras: the names of the cameras in the order of the model's keys.
            optional_cameras: the cameras that may be absent. Once such a camera has sent an image, it is waited for
                like the others.
            now: the steady time, s, from which silence counts.

        Raises:
            ValueError: if an optional camera is not among the cameras.
        """
        unknown = [camera for camera in optional_cameras if camera not in cameras]
        if unknown:
            raise ValueError(f"optional cameras must be among {', '.join(cameras)}, got {', '.join(unknown)}")
        self._optional = optional_cameras
        self._cameras = {camera: _Source(now) for camera in cameras}
        self._arms = {side: _Source(now) for side in aloha.SIDES}

    def add_image(self, camera: str, image: np.ndarray, *, stamp: int, now: float) -> None:
        """Takes an image, uint8 [h, w, 3], of a camera. It is ignored where its stamp is not new."""
        self._cameras[camera].add(image, stamp, now)

    def add_state(self, side: str, state: np.ndarray, *, stamp: int, now: float) -> None:
        """Takes an arm's state, float [7], rad and normalized gripper. It is ignored where its stamp is not new."""
        self._arms[side].add(state, stamp, now)

    def expect(self, now: float) -> None:
        """Counts silence only from `now` on, steady s. The sensors had no reason to send before."""
        for source in (*self._cameras.values(), *self._arms.values()):
            source.quiet_since = max(source.quiet_since, now)

    @property
    def stamps(self) -> dict[str, int | None]:
        """The stamp of the newest reading of each camera, "left arm" and "right arm", ns; None before any."""
        named = self._cameras | {f"{side} arm": source for side, source in self._arms.items()}
        return {name: None if source.reading is None else source.reading.stamp for name, source in named.items()}

    def silent(self, now: float, timeout: float) -> list[SilentSensor]:
        """Returns the sensors that have sent nothing newer for longer than `timeout`, s.

        Optional cameras that have never sent an image are left out.
        """
        named = {name: source for name, source in self._cameras.items() if not self._absent(name)}
        named |= {f"{side} arm": source for side, source in self._arms.items()}
        return [
            SilentSensor(name, now - source.quiet_since, frozen=source.reading is not None and source.reading.repeated)
            for name, source in named.items()
            if now - source.quiet_since > timeout
        ]

    def take(self, *, newer_than: int, tolerance: float) -> SyncedSensors | None:
        """Returns the newest readings as one set, or None while they do not make a set.

        Args:
            newer_than: the earliest stamp that a reading may have, ns.
            tolerance: the largest difference between the stamps of the set, s.
        """
        images, arms = _newest(self._cameras), _newest(self._arms)
        if len(arms) < len(self._arms) or not images.keys() | set(self._optional) >= self._cameras.keys():
            return None
        stamps = [reading.stamp for reading in (*images.values(), *arms.values())]
        if min(stamps) < newer_than or (max(stamps) - min(stamps)) * 1e-9 > tolerance:
            return None
        return SyncedSensors(
            images=tuple(images[name].value if name in images else None for name in self._cameras),
            image_mask=np.array([name in images for name in self._cameras]),
            state=np.concatenate([arms[side].value for side in aloha.SIDES]).astype(np.float32),
            stamp=min(stamps),
            newest=max(stamps),
        )

    def _absent(self, camera: str) -> bool:
        return camera in self._optional and self._cameras[camera].reading is None


def _newest(sources: Mapping[str, _Source]) -> dict[str, _Reading]:
    """Returns the newest reading of each sensor that has sent any."""
    return {name: source.reading for name, source in sources.items() if source.reading is not None}
