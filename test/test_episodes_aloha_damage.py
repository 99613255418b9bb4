"""Tests that damaged, half-written and unusual HDF5 files are refused in one line that names them."""

from __future__ import annotations

import contextlib
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.readers import read_episodes
from support.aloha_files import PICTURE, motion, write_aloha
from support.recordings import jpegs

CONFIG = TrainConfig()


def read(path: pathlib.Path) -> Episode:
    (episode,) = read_episodes(path, CONFIG)
    return episode


def refusal(path: pathlib.Path) -> str:
    """Returns the text by which a file is refused, or one of its images, or an empty text."""
    try:
        episode = read(path)
        for camera in episode.cameras.values():
            for step in range(len(episode)):
                camera(step)
    except EpisodesError as error:
        text = str(error)
        assert "\n" not in text and str(path) in text
        return text
    return ""


def with_states(folder: pathlib.Path, states: Any, actions: Any = None) -> pathlib.Path:
    return write_aloha(folder / "episode_0.hdf5", states=states, actions=actions)


# The tests below are about states and actions.


@pytest.mark.parametrize(
    ("states", "text"),
    [
        (motion() > 0, r"\[6, 14\] of bool"),
        (motion().astype("S8"), r"\[6, 14\] of text or bytes"),
        (motion() * 1j, "of complex64"),
        (np.zeros(6, [("a", "f4"), ("b", "f4")]), r"\[6\] of \[\('a', .*\]"),
        (motion()[0], r"\[14\] of float32"),
        (motion()[:, None], r"\[6, 1, 14\] of float32"),
        (np.float32(1), r"\[\] of float32"),
        (h5py.Empty("f4"), "nothing of float32"),
    ],
)
def test_states_that_are_no_numbers_of_steps_are_refused(tmp_path: pathlib.Path, states: Any, text: str) -> None:
    with pytest.raises(
        EpisodesError, match=rf"observations/qpos must be numbers \[steps, dimensions\], got .*{text} in "
    ):
        read(with_states(tmp_path, states))
    with pytest.raises(EpisodesError, match=rf"action must be numbers \[steps, dimensions\], got .*{text} in "):
        read(with_states(tmp_path, motion(), states))


def test_steps_must_be_equally_many(tmp_path: pathlib.Path) -> None:
    with pytest.raises(EpisodesError, match="qpos and action must have equally many steps, got 7 and 6 in .*episode_0"):
        read(with_states(tmp_path, motion(7)))


def test_an_episode_without_steps_is_refused(tmp_path: pathlib.Path) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5", states=motion(0), actions=motion(0), images={})
    with pytest.raises(EpisodesError, match="at least one step, got none in .*episode_0"):
        read(path)


def test_numbers_beyond_float32_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(EpisodesError, match="states must be finite, got NaN or infinity in step 0"):
        read(with_states(tmp_path, np.full((6, 14), 1e300)))


def test_other_names_of_states_are_listed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "episode_0.hdf5"
    with h5py.File(path, "w") as file:
        file["observations/joint_positions"] = motion()
        file["relative_action"] = motion()
    with pytest.raises(EpisodesError, match=r"must have observations/qpos and action, got .*joint_positions, relative"):
        read(path)


@pytest.mark.parametrize("kind", ["soft", "external", "group"])
def test_states_that_lead_nowhere_are_refused(tmp_path: pathlib.Path, kind: str) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5")
    with h5py.File(path, "a") as file:
        del file["observations/qpos"]
        if kind == "group":
            file.create_group("observations/qpos")
        else:
            link = h5py.SoftLink("/x") if kind == "soft" else h5py.ExternalLink("gone.h5", "/x")
            file["observations/qpos"] = link
    with pytest.raises(EpisodesError, match="must have observations/qpos and action, got"):
        read(path)


# The tests below are about arrays that were not written whole.


@pytest.mark.parametrize("chunks", [None, (1, 14), (4, 14)])
def test_states_that_were_never_written_are_refused(tmp_path: pathlib.Path, chunks: Any) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5")
    with h5py.File(path, "a") as file:
        del file["observations/qpos"]
        dataset = file.create_dataset("observations/qpos", (6, 14), "f4", chunks=chunks)
        if chunks:
            dataset[:2] = 1.0
    with pytest.raises(EpisodesError, match=r"observations/qpos of .*episode_0\.hdf5 must be written whole, got"):
        read(path)


def test_a_camera_that_was_not_written_to_the_end_is_refused(tmp_path: pathlib.Path) -> None:
    def write(file: h5py.File) -> None:
        file.create_dataset("observations/images/cam_high", PICTURE.shape, "u1", chunks=(1, 8, 10, 3))[:4] = PICTURE[:4]

    with pytest.raises(
        EpisodesError, match=r"cam_high of .* must be written whole, got 4 of 6 parts; its recorder was"
    ):
        read(write_aloha(tmp_path / "episode_0.hdf5", images={}, more=write))


def test_a_huge_shape_is_refused_before_it_is_read(tmp_path: pathlib.Path) -> None:
    for chunks in (None, (1000, 14)):
        path = write_aloha(tmp_path / "episode_0.hdf5")
        with h5py.File(path, "a") as file:
            del file["action"]
            file.create_dataset("action", (2**50, 14), "f4", chunks=chunks)
        with pytest.raises(EpisodesError, match="action of .* must be written whole"):
            read(path)


def test_arrays_in_other_files_are_refused(tmp_path: pathlib.Path) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5")
    layout = h5py.VirtualLayout((6, 14), "f4")
    layout[:] = h5py.VirtualSource("gone.h5", "x", (6, 14))
    with h5py.File(path, "a") as file:
        del file["action"]
        file.create_virtual_dataset("action", layout)
    with pytest.raises(EpisodesError, match="in the file itself, got action of .*episode_0.* kept in others"):
        read(path)
    with h5py.File(path, "a") as file:
        del file["action"]
        file.create_dataset("action", (6, 14), "f4", external=[(str(tmp_path / "raw.bin"), 0, h5py.h5f.UNLIMITED)])
    with pytest.raises(EpisodesError, match="kept in others"):
        read(path)


def test_an_unknown_filter_is_named(tmp_path: pathlib.Path) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5")
    with h5py.File(path, "a") as file:
        del file["action"]
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((6, 14))
        settings.set_filter(32008, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((6, 14))
        h5py.h5d.create(file.id, b"action", h5py.h5t.IEEE_F32LE, space, settings)
    with pytest.raises(EpisodesError, match="a filter that h5py has, got number 32008 in action of .*h5repack"):
        read(path)


# The tests below are about damage.


def whole_files() -> dict[str, Callable[[pathlib.Path], pathlib.Path]]:
    def chunked(file: h5py.File) -> None:
        file.create_dataset("observations/images/cam_high", data=PICTURE, chunks=(1, 8, 10, 3), compression="gzip")

    def varying(file: h5py.File) -> None:
        dataset = file.create_dataset("observations/images/cam_high", (6,), dtype=h5py.vlen_dtype(np.uint8))
        for step, content in enumerate(jpegs(PICTURE)):
            dataset[step] = content

    labels = {"prompt": "pick the cube", "success": True}
    return {
        "raw": lambda path: write_aloha(path, attributes=labels),
        "chunked": lambda path: write_aloha(path, images={}, more=chunked, attributes=labels),
        "varying": lambda path: write_aloha(path, images={}, more=varying, attributes=labels),
    }


@pytest.mark.parametrize("kind", list(whole_files()))
def test_a_file_that_is_cut_anywhere_is_refused(tmp_path: pathlib.Path, kind: str) -> None:
    path = whole_files()[kind](tmp_path / "episode_0.hdf5")
    content = path.read_bytes()
    assert refusal(path) == ""
    for end in range(1, len(content), len(content) // 40):
        path.write_bytes(content[:end])
        assert "readable HDF5 file, got" in refusal(path)


@pytest.mark.parametrize("kind", list(whole_files()))
def test_a_damaged_header_is_refused_or_harmless(tmp_path: pathlib.Path, kind: str) -> None:
    """Each signature of a part of the file is damaged, and each byte before the first part."""
    path = whole_files()[kind](tmp_path / "episode_0.hdf5")
    content, good = path.read_bytes(), read(path)
    for place in [found.start() for found in re.finditer(rb"\x89HDF|TREE|SNOD|HEAP|GCOL", content)]:
        path.write_bytes(content[:place] + b"\xff" + content[place + 1 :])
        assert "readable" in refusal(path)
    for place in range(96):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x11]) + content[place + 1 :])
        if not refusal(path):
            np.testing.assert_array_equal(read(path).states, good.states)


def test_a_damaged_chunk_is_named_with_its_step(tmp_path: pathlib.Path) -> None:
    path = whole_files()["chunked"](tmp_path / "episode_0.hdf5")
    with h5py.File(path) as file:
        chunk = file["observations/images/cam_high"].id.get_chunk_info(3)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + 10 : chunk.byte_offset + 20] = bytes(10)
    path.write_bytes(content)
    episode = read(path)
    with pytest.raises(EpisodesError, match=r"images must be readable, got .*episode_0\.hdf5"):
        episode.cameras["cam_high"](3)
    np.testing.assert_array_equal(episode.cameras["cam_high"](2), PICTURE[2])


def test_parts_upon_each_other_are_refused(tmp_path: pathlib.Path) -> None:
    """The index of chunks points twice to the same chunk, so two steps would have one image."""

    def write(file: h5py.File) -> None:
        file.create_dataset("observations/images/cam_high", data=PICTURE, chunks=(1, 8, 10, 3))

    path = write_aloha(tmp_path / "episode_0.hdf5", images={}, more=write)
    with h5py.File(path) as file:
        first, second = (file["observations/images/cam_high"].id.get_chunk_info(step).byte_offset for step in (0, 1))
    content = path.read_bytes()
    assert content.count(second.to_bytes(8, "little")) == 1
    path.write_bytes(content.replace(second.to_bytes(8, "little"), first.to_bytes(8, "little")))
    with pytest.raises(EpisodesError, match=r"index of observations/images/cam_high of .* separate parts of the file"):
        read(path)


@pytest.mark.parametrize("signature", [b"TREE", b"SNOD", b"HEAP", b"GCOL"])
def test_numbers_in_the_structure_of_the_file_are_refused(tmp_path: pathlib.Path, signature: bytes) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5", attributes={"prompt": "stack the cup"})
    content = path.read_bytes()
    move_actions(path, content.rindex(signature) - 40)
    with pytest.raises(EpisodesError, match=r"header of action must point to its numbers, .* in .*episode_0|index of"):
        read(path)


@pytest.mark.parametrize("shift", [-8, -4])
def test_numbers_that_begin_within_others_are_refused(tmp_path: pathlib.Path, shift: int) -> None:
    """The actions follow the states."""
    path = write_aloha(tmp_path / "episode_0.hdf5", images={})
    with h5py.File(path) as file:
        place = file["action"].id.get_offset()
        assert place == file["observations/qpos"].id.get_offset() + motion().nbytes
    move_actions(path, place + shift)
    with pytest.raises(EpisodesError, match=r"index of .*episode_0\.hdf5 must point to separate parts"):
        read(path)


def move_actions(path: pathlib.Path, place: int) -> None:
    """Lets the header of the actions point to another place."""
    with h5py.File(path) as file:
        old = file["action"].id.get_offset().to_bytes(8, "little")
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, place.to_bytes(8, "little")))


def test_datasets_upon_each_other_are_refused(tmp_path: pathlib.Path) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5")
    with h5py.File(path) as file:
        states = file["observations/qpos"].id.get_offset()
    move_actions(path, states)
    with pytest.raises(EpisodesError, match=r"index of .*episode_0\.hdf5 must point to separate parts"):
        read(path)


def test_texts_that_were_overwritten_with_zeros_do_not_hang(tmp_path: pathlib.Path) -> None:
    path = whole_files()["varying"](tmp_path / "episode_0.hdf5")
    content = bytearray(path.read_bytes())
    for place in [found.start() for found in re.finditer(rb"GCOL", content)]:
        damaged = content.copy()
        damaged[place + 16 : place + 4096] = bytes(len(damaged[place + 16 : place + 4096]))
        path.write_bytes(damaged)
        with pytest.raises(EpisodesError, match=rf"episode_0\.hdf5 with a damaged heap at byte {place}; copy"):
            read(path)


def test_an_attribute_of_another_type_is_not_read(tmp_path: pathlib.Path) -> None:
    """One flipped bit makes a text a list of lists, and the HDF5 library crashes where it reads it."""
    path = whole_files()["raw"](tmp_path / "episode_0.hdf5")
    content = path.read_bytes()
    text = b"prompt\0\0\x19\x01\x01"
    assert content.count(text) == 1
    path.write_bytes(content.replace(text, b"prompt\0\0\x19\x00\x01"))
    assert read(path).prompt == ""


# The tests below are about files that are being written.


@contextlib.contextmanager
def another_program(path: pathlib.Path, mode: str) -> Any:
    code = f"import h5py, sys\nfile = h5py.File({str(path)!r}, {mode!r})\nprint('open', flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield
        process.communicate()


def test_a_file_that_is_being_written_is_refused(tmp_path: pathlib.Path) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5")
    with another_program(path, "a"), pytest.raises(EpisodesError, match="another program is writing; wait until its"):
        read(path)
    with another_program(path, "r"):
        assert len(read(path)) == 6


def test_a_file_without_the_right_to_read_it_is_named(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5")

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(h5py, "File", refuse)
    with pytest.raises(EpisodesError, match=r"readable HDF5 file, got .*episode_0\.hdf5: .*Permission denied"):
        read(path)
