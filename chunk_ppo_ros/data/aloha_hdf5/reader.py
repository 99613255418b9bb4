"""Reads an episode from an HDF5 file of ALOHA's recorders, and from a folder of such files.

A file has `/observations/qpos` [T, 14], `/action` [T, 14] and `/observations/images/<camera>`. Images are uint8
[T, h, w, 3], or, where the recorder compresses, JPEG files with padding behind, [T, length]. The recorders write
neither rate nor prompt. The attributes `prompt` and `success` of the file are read where a person has added them.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator

import h5py
import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.data import conventions
from chunk_ppo_ros.data.aloha_hdf5 import arm_names, contents, files, labels, recorders
from chunk_ppo_ros.data.aloha_hdf5.attributes import attribute, unused_attributes
from chunk_ppo_ros.data.aloha_hdf5.cameras import Cameras, cameras_of
from chunk_ppo_ros.data.aloha_hdf5.datasets import check_all_apart
from chunk_ppo_ros.data.aloha_hdf5.heaps import check_heaps
from chunk_ppo_ros.data.aloha_hdf5.opening import opened
from chunk_ppo_ros.data.aloha_hdf5.timing import PERIOD_NAME, RATE_NAMES, Timing, timing_of
from chunk_ppo_ros.data.aloha_hdf5.vectors import ACTIONS, STATES, Vectors, vectors_of
from chunk_ppo_ros.data.episode import Episode, LeftOut, RecordingFacts, camera_names
from chunk_ppo_ros.data.left_out import is_left_out
from chunk_ppo_ros.robot import grippers


class AlohaFileReader:
    """Reads a single file, as an `EpisodeReader`."""

    description = f"ALOHA files (*{', *'.join(files.SUFFIXES)})"

    def recognizes(self, path: pathlib.Path) -> bool:
        """Returns whether the path is a file whose name ends with one of `SUFFIXES`."""
        return path.is_file() and path.suffix.lower() in files.SUFFIXES

    def read(self, path: pathlib.Path, config: TrainConfig) -> Iterator[Episode | LeftOut]:
        """Yields the one episode of the file."""
        yield _read_or_leave_out(path, config)


class AlohaFolderReader:
    """Reads the files of a folder and of the folders below it, as an `EpisodeReader`."""

    description = AlohaFileReader.description

    def recognizes(self, path: pathlib.Path) -> bool:
        """Returns whether the path is a folder that has such a file in it or in a folder below it."""
        return path.is_dir() and files.has_recordings(path)

    def read(self, path: pathlib.Path, config: TrainConfig) -> Iterator[Episode | LeftOut]:
        """Yields one episode for each file, in the order of `files.walk`."""
        for file in files.walk(path):
            if file.is_dir():
                yield LeftOut(str(file), "it is a folder of another format; name it by itself")
            else:
                yield _read_or_leave_out(file, config)


def _read_or_leave_out(path: pathlib.Path, config: TrainConfig) -> Episode | LeftOut:
    if is_left_out(str(path), config.recordings.leave_out_episodes):
        return LeftOut(str(path), "it is named by --leave_out_episodes")
    return read_hdf5(path, config)


def read_hdf5(path: pathlib.Path, config: TrainConfig) -> Episode:
    """Returns the episode of a file.

    Args:
        path: the path of the file.
        config: the settings, of which `EpisodeReader.read` says what is read.

    Raises:
        EpisodesError: where the file cannot be read, lacks states or actions, or lacks an image of a camera at a step.
        UnansweredQuestion: where only a person knows how the file is meant.
    """
    recordings = config.recordings
    with opened(path) as file:
        datasets = contents.datasets_of(file)
        check_heaps(path, whole=any(dataset.dtype.kind == "O" for dataset in datasets))
        vectors = vectors_of(file)
        cameras = cameras_of(file, path, len(vectors.states), camera_names(config), recordings.channel_order)
        check_all_apart(file, {STATES, ACTIONS, *cameras.used})
        prompt, prompt_said = (config.run.prompt, ()) if config.run.prompt else labels.prompt_of(file)
        success = labels.success_of(file)
        timing = timing_of(file, datasets, len(vectors.states), recordings)
        facts = _facts(file, datasets, vectors, cameras, timing, config)
    states, actions = _of_robot(vectors, config)
    return Episode(
        source=str(path),
        states=states,
        actions=actions,
        rate=timing.rate,
        prompt=prompt,
        success=success,
        times=timing.times,
        cameras={name: camera.read for name, camera in cameras.by_name.items()},
        facts=dataclasses.replace(facts, said=(*facts.said, *prompt_said)),
    )


def _of_robot(vectors: Vectors, config: TrainConfig) -> tuple[np.ndarray, np.ndarray]:
    """Returns states [T, S] and actions [T, D], float32, with the left arm first and in the units of the robot."""
    recordings, convention = config.recordings, grippers.convention_of(config.robot)
    states = conventions.with_left_arm_first(vectors.states, recordings.arm_order)
    actions = conventions.with_left_arm_first(vectors.actions, recordings.arm_order)
    with np.errstate(over="ignore"):  # infinity is refused by name, later
        states = conventions.states_in_robot_units(states, recordings, convention).astype(np.float32)
        actions = conventions.actions_in_robot_units(actions, recordings, convention).astype(np.float32)
    return states, actions


def _facts(
    file: h5py.File,
    datasets: list[h5py.Dataset],
    vectors: Vectors,
    cameras: Cameras,
    timing: Timing,
    config: TrainConfig,
) -> RecordingFacts:
    """Returns what is known and assumed of a file.

    Raises:
        EpisodesError, UnansweredQuestion: where `recorders.check` raises them.
    """
    recordings = config.recordings
    texts = [str(attribute(file, name)) for name in file.attrs] + arm_names.texts_of(file, datasets)
    recorder = recorders.recognize(cameras.recorded_names, texts, list(file))
    names = arm_names.arm_names_of(file, datasets)
    recorders.check(recorder, vectors.states, vectors.actions, recordings, file.filename, names)
    dim = vectors.actions.shape[1]
    order_said, order_assumed = recorders.order_sentence(dim, recordings)
    used = {STATES, ACTIONS, *labels.PROMPT_NAMES, "success", timing.source, *cameras.used, *RATE_NAMES, PERIOD_NAME}
    known = {*labels.PROMPT_NAMES, "success", "sim", "compress", *RATE_NAMES, PERIOD_NAME}
    return RecordingFacts(
        format=f"HDF5 of {recorder.name}",
        said=(*order_said, *cameras.said, *timing.said, *vectors.said),
        assumed=(
            *order_assumed,
            *timing.assumed,
            *recorders.unit_sentences(vectors.states, vectors.actions, recordings),
            *cameras.assumed,
            *recorders.color_sentences(recorder, cameras.has_compressed, recordings),
        ),
        unused=(*vectors.unused, *contents.unused(file, datasets, used), *unused_attributes(file, known)),
    )
