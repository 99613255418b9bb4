"""The newest camera images and joint states, matched in time; and which of them are silent.

Stamps are integers in ns, as the sensors give them; `now` is a steady clock in s and only measures silence.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.robot import aloha


@dataclasses.dataclass(frozen=True)
class SyncedSensors:
    """One reading of each sensor, close together in time.

    Attributes:
        images: uint8 [h, w, 3] for each camera in order; None where a camera is absent.
        image_mask: bool [C], false where a camera is absent.
        state: float32 [14], rad and normalised grippers.
        stamp: of the oldest reading, ns.
        newest: stamp of the newest reading, ns.
    """

    images: tuple[np.ndarray | None, ...]
    image_mask: np.ndarray
    state: np.ndarray
    stamp: int
    newest: int


@dataclasses.dataclass(frozen=True)
class SilentSensor:
    """A sensor without news.

    Attributes:
        name: camera name, or "left arm" or "right arm".
        silence: time without a newer reading, s.
        frozen: it still sends, but the stamp of its readings does not advance.
    """

    name: str
    silence: float
    frozen: bool

    def __str__(self) -> str:
        how = "repeats an old stamp" if self.frozen else "is silent"
        return f"{self.name} {how} for {self.silence:.1f} s"


@dataclasses.dataclass
class _Source:
    """The newest reading of one sensor."""

    quiet_since: float
    stamp: int | None = None
    value: np.ndarray | None = None
    frozen: bool = False


class SensorSync:
    """Keeps the newest reading of every camera and both arms."""

    def __init__(self, cameras: tuple[str, ...], *, optional_cameras: tuple[str, ...] = (), now: float) -> None:
        """Starts without readings.

        Args:
            cameras: camera names in the order of the model's keys.
            optional_cameras: those of them that may be absent. One that has sent an image is absent no more: it is
                waited for like the others.
            now: steady time, s; silence counts from here.

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
        """Takes an image, uint8 [h, w, 3], of one of the cameras; one whose stamp is not new changes nothing."""
        _add(self._cameras[camera], image, stamp, now)

    def add_state(self, side: str, state: np.ndarray, *, stamp: int, now: float) -> None:
        """Takes an arm's state, float [7], rad and normalised gripper; one whose stamp is not new changes nothing."""
        _add(self._arms[side], state, stamp, now)

    def expect(self, now: float) -> None:
        """Counts silence from now on; for when the sensors had no reason to send before."""
        for source in (*self._cameras.values(), *self._arms.values()):
            source.quiet_since = max(source.quiet_since, now)

    def silent(self, now: float, timeout: float) -> list[SilentSensor]:
        """Returns the sensors without a newer reading for longer than `timeout`, s; absent optional cameras are left
        out.
        """
        named = {name: source for name, source in self._cameras.items() if not self._absent(name)}
        named |= {f"{side} arm": source for side, source in self._arms.items()}
        return [
            SilentSensor(name, now - source.quiet_since, source.frozen)
            for name, source in named.items()
            if now - source.quiet_since > timeout
        ]

    def take(self, *, newer_than: int, tolerance: float) -> SyncedSensors | None:
        """Returns the newest readings as one set, or None while there is none.

        Args:
            newer_than: every reading must have this stamp or a later one, ns.
            tolerance: largest difference between the stamps of the set, s.
        """
        cameras = {name: source for name, source in self._cameras.items() if not self._absent(name)}
        stamps = [source.stamp for source in (*cameras.values(), *self._arms.values()) if source.stamp is not None]
        if len(stamps) < len(cameras) + len(self._arms):
            return None
        if min(stamps) < newer_than or (max(stamps) - min(stamps)) * 1e-9 > tolerance:
            return None
        return SyncedSensors(
            images=tuple(source.value for source in self._cameras.values()),
            image_mask=np.array([source.value is not None for source in self._cameras.values()]),
            state=np.concatenate([self._arms[side].value for side in aloha.SIDES]).astype(np.float32),
            stamp=min(stamps),
            newest=max(stamps),
        )

    def _absent(self, camera: str) -> bool:
        return camera in self._optional and self._cameras[camera].stamp is None


def _add(source: _Source, value: np.ndarray, stamp: int, now: float) -> None:
    source.frozen = stamp == source.stamp
    if not source.frozen:
        source.stamp, source.value, source.quiet_since = stamp, value, now
