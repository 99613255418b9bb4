"""Reads episodes, as the robot executed them, from the rosbag2 folders that recorder_node writes. It needs no ROS.

The message `action_chunk` holds the targets, and what the policy saw at the start of each chunk. `execution_result`
says how many of the targets were executed and when. The joint states of both arms say where the robot was, and
`chunk_outcome` says whether the chunk was a success. An episode joins the executed parts of its chunks, without the
waiting between them. Targets are those that the policy or the human gave, before robot_node limited them.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.wording.counts import clause
from chunk_ppo_ros.data.bags.cameras.policy_images import PolicyImages
from chunk_ppo_ros.data.bags.cameras.recorded_cameras import RecordedCameras, recorded_cameras
from chunk_ppo_ros.data.bags.rollout_messages import EpisodeKey, RecordedChunk, Recording, read_messages
from chunk_ppo_ros.data.bags.rollout_parts import missing_parts
from chunk_ppo_ros.data.bags.storage.bag_folder import METADATA, find_bags
from chunk_ppo_ros.data.bags.track import MissingStates, Track
from chunk_ppo_ros.data.episode import Episode, LeftOut, RecordingFacts, camera_names, rewards_of_steps
from chunk_ppo_ros.data.left_out import is_left_out
from chunk_ppo_ros.data.message_format import FORMAT
from chunk_ppo_ros.data.topic_names import FOLLOWER_STATES
from chunk_ppo_ros.robot import aloha, grippers


@dataclasses.dataclass(frozen=True)
class _Executed:
    """Holds a chunk, and the states float32 [k, 14] and times float64 [k], s, at its executed steps."""

    chunk: RecordedChunk
    states: np.ndarray
    times: np.ndarray


class RolloutBagReader:
    """Reads a recording of recorder_node, whose bags are its parts, as an `EpisodeReader`.

    Where the cameras of one robot were recorded (`run.bag_cameras`), the images are those that they sent in each step.
    Otherwise they are those that the policy saw at the start of each chunk.
    """

    description = f"recordings of recorder_node ({METADATA}, or folders that have it or .mcap or .db3 files)"

    def recognizes(self, path: pathlib.Path) -> bool:
        """Returns whether the path is a bag or a folder of bags."""
        return bool(find_bags(path))

    def read(self, path: pathlib.Path, config: TrainConfig) -> Iterator[Episode | LeftOut]:
        """Yields the episodes of a recording, as `read_bag` returns them."""
        yield from read_bag(
            path,
            convention=grippers.convention_of(config.robot),
            rate=config.robot.control_rate,
            cameras=camera_names(config),
            recorded=recorded_cameras(path, config),
            prompt=config.run.prompt,
            leave_out=config.recordings.leave_out_episodes,
        )


def read_bag(
    folder: pathlib.Path,
    *,
    convention: grippers.GripperConvention,
    rate: float,
    cameras: Sequence[str],
    recorded: RecordedCameras | None = None,
    prompt: str = "",
    leave_out: Sequence[str] = (),
) -> list[Episode | LeftOut]:
    """Returns the episodes of a recording, in order. Episodes of which nothing was executed are not among them.

    Episodes for which joint states or whole parts are missing, and those that are left out by name, are `LeftOut`.

    Args:
        folder: a bag, or a folder of the parts of a recording.
        convention: the convention by which the robot's grippers are normalized.
        rate: the control rate of the recording, Hz.
        cameras: the names of the policy's cameras, in its order. A recording does not hold them.
        recorded: what the cameras sent, which then takes the place of the images that the policy saw.
        prompt: the prompt that replaces those of the chunks where it is not empty.
        leave_out: the ends of the names of episodes and parts that are not read.

    Raises:
        EpisodesError: where the recording cannot be read, is not of recorder_node, or has messages of another format.
    """
    bags = tuple(bag for bag in find_bags(folder) if not is_left_out(str(bag), leave_out))
    recording = read_messages(bags, convention, folder)
    arms = _Arms.of(recording, folder)
    by_episode: dict[EpisodeKey, list[RecordedChunk]] = {}
    for sent, chunk in sorted(recording.chunks.items(), key=lambda item: item[0]):
        if recording.results.get(sent, (0, 0.0))[0]:
            by_episode.setdefault(chunk.episode_key, []).append(chunk)
    facts = _facts(recording, rate)
    found: list[Episode | LeftOut] = []
    for key, chunks in by_episode.items():
        source = f"{folder}, {chunks[0].episode_name}"
        reason = _reason_to_leave_out(source, chunks, bags, leave_out)
        try:
            if reason:
                raise MissingStates(reason)
            parts = [_execute(chunk, recording, arms, rate) for chunk in chunks]
            episode = _to_episode(
                parts,
                rewards=[recording.rewards.get((chunk.sender, chunk.stamp)) for chunk in chunks],
                source=source,
                rate=rate,
                prompt=prompt or chunks[0].prompt,
                success=any(recording.outcomes[key]) if key in recording.outcomes else None,
                images=PolicyImages(bags, tuple(cameras)),
            )
            if recorded is not None:
                episode = recorded.added_to(episode, np.concatenate([part.times for part in parts]))
        except MissingStates as error:
            found.append(LeftOut(source, str(error)))
            continue
        found.append(dataclasses.replace(episode, facts=facts))
    return found


def _reason_to_leave_out(
    source: str, chunks: list[RecordedChunk], bags: Sequence[pathlib.Path], leave_out: Sequence[str]
) -> str:
    """Returns why an episode is not used before its states are looked at, or an empty text."""
    if is_left_out(source, leave_out):
        return "it is named by --leave_out_episodes"
    first, *_, last = sorted([chunks[0].place.bag, *(chunk.place.bag for chunk in chunks)])
    lost = [names for index, names in missing_parts(bags).items() if first < index <= last]
    return f"{', '.join(lost)} in its middle is missing" if lost else ""


def _execute(chunk: RecordedChunk, recording: Recording, arms: _Arms, rate: float) -> _Executed:
    """Returns a chunk with the states at its executed steps.

    Raises:
        EpisodesError: where more steps were executed than the chunk has.
        MissingStates: where the states were not recorded.
    """
    num_steps, end = recording.results[chunk.sender, chunk.stamp]
    if num_steps > len(chunk.actions):
        raise EpisodesError(
            f"a chunk must be executed for at most its {len(chunk.actions)} steps, got {num_steps} for chunk "
            f"{chunk.sequence_number} of {chunk.episode_name} in {arms.folder}; leave the episode out"
        )
    times = end - np.arange(num_steps, 0, -1) / rate
    return _Executed(chunk, arms.states(chunk, times), times)


def _facts(recording: Recording, rate: float) -> RecordingFacts:
    """Returns what is known about all episodes of a recording."""
    names = tuple(aloha.joint_name(index) for index in range(aloha.ACTION_DIM))
    without_result = len(recording.chunks.keys() - recording.results.keys())
    unused = clause(without_result, "chunk", "has no result, and is", "have no result, and are")
    said = [*recording.said, *([f"{unused} not used"] if without_result else [])]
    return RecordingFacts(
        format=f"recording of recorder_node, message format {FORMAT}",
        state_names=names,
        action_names=names,
        said=("joint states name their joints, in rad", *said),
        assumed=(
            f"chunks were executed at {rate:g} Hz (robot.control_rate)",
            "grippers are those of robot.gripper_convention",
        ),
        unused=tuple(recording.unused),
    )


@dataclasses.dataclass(frozen=True)
class _Arms:
    """Knows where the arms of all robots of a recording were.

    Attributes:
        tracks: the track of each arm, by its side and by the namespace of its joint states.
        has_several_robots: whether chunks were recorded in several namespaces.
        folder: the folder of the recording, for error texts.
    """

    tracks: dict[str, dict[str, Track]]
    has_several_robots: bool
    folder: pathlib.Path

    @classmethod
    def of(cls, recording: Recording, folder: pathlib.Path) -> _Arms:
        """Returns the arms of a recording."""
        tracks = {
            side: {namespace: Track.of(readings) for namespace, readings in arms.items()}
            for side, arms in recording.joints.items()
        }
        return cls(tracks, len({chunk.namespace for chunk in recording.chunks.values()}) > 1, folder)

    def states(self, chunk: RecordedChunk, times: np.ndarray) -> np.ndarray:
        """Returns the states float32 [k, 14] of the robot that executed a chunk, at times float [k], s.

        Raises:
            EpisodesError: where the states at these times, or those of this robot, were not recorded.
        """
        source = f"chunk {chunk.sequence_number} of run {chunk.run_id} in {self.folder}"
        states = [self._track(side, chunk).at(times, f"the {side} arm at {source}") for side in aloha.SIDES]
        with np.errstate(over="ignore"):  # Episodes refuse what is not finite.
            return np.concatenate(states, axis=1, dtype=np.float32)

    def _track(self, side: str, chunk: RecordedChunk) -> Track:
        """Returns the track in the namespace of the chunk. Only where there is one robot may it be in another one."""
        tracks = self.tracks[side]
        if chunk.namespace in tracks:
            return tracks[chunk.namespace]
        if len(tracks) == 1 and not self.has_several_robots:
            return next(iter(tracks.values()))
        name = FOLLOWER_STATES[side]
        found = ", ".join(f"{namespace}{name}" for namespace in sorted(tracks))
        raise EpisodesError(
            f"the joint states of several robots must be recorded in the namespaces of their chunks, got {found} and "
            f"not {chunk.namespace}{name} in {self.folder}; leave out the recording"
        )


def _to_episode(
    parts: list[_Executed],
    *,
    rewards: Sequence[float | None],
    source: str,
    rate: float,
    prompt: str,
    success: bool | None,
    images: PolicyImages,
) -> Episode:
    *starts, num_steps = np.cumsum([0, *(len(part.states) for part in parts)]).tolist()
    return Episode(
        source=source,
        states=np.concatenate([part.states for part in parts]),
        actions=np.concatenate([part.chunk.actions[: len(part.states)] for part in parts]),
        rate=rate,
        prompt=prompt,
        success=success,
        cameras=images.readers([part.chunk for part in parts], starts),
        image_steps=np.array(starts),
        rewards=rewards_of_steps(rewards, [*starts[1:], num_steps]),
    )
