"""Tests episodes in ALOHA's files, chunks of episodes, and other rates.

The files are made here as ALOHA's recorder makes them.
"""

from __future__ import annotations

import dataclasses
import pathlib

import h5py
import numpy as np
import pytest

from chunk_ppo_ros.config import RunConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import Episode, at_rate, seen_starts, to_chunks
from chunk_ppo_ros.data.readers import read_all, read_episodes
from support.recordings import IMAGES, jpegs, numbers, write_hdf5

CONFIG = TrainConfig()


def episode(num_steps: int) -> Episode:
    return Episode("here", numbers(num_steps, 2), numbers(num_steps, 1), rate=50.0)


# The tests below check which chunks an episode has.


def test_a_chunk_at_every_step_and_the_last_action_repeated() -> None:
    # The actions of the four steps are 0, 0.01, 0.02, 0.03.
    states, actions = to_chunks(episode(4), 3)
    np.testing.assert_array_equal(states, numbers(4, 2))
    expected = np.array([[0, 1, 2], [1, 2, 3], [2, 3, 3], [3, 3, 3]]) / 100
    np.testing.assert_allclose(actions[..., 0], expected, rtol=1e-6)


def test_chunks_at_every_third_step() -> None:
    states, actions = to_chunks(episode(4), 2, stride=3)
    np.testing.assert_array_equal(states, numbers(4, 2)[[0, 3]])
    np.testing.assert_allclose(actions[..., 0], [[0, 0.01], [0.03, 0.03]])


def test_chunks_of_no_length_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0 and 1"):
        to_chunks(episode(4), 0)


@pytest.mark.parametrize(
    ("states", "actions", "text"),
    [
        (np.zeros((2, 3)), np.zeros((1, 3)), r"\[T, S\] and \[T, D\], got \(2, 3\) and \(1, 3\) in here"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "at least one step, got none in here"),
        (np.array([[0.0], [np.nan]]), np.zeros((2, 1)), "states must be finite, .* in step 1 of here"),
    ],
)
def test_bad_episodes_are_refused(states: np.ndarray, actions: np.ndarray, text: str) -> None:
    with pytest.raises(EpisodesError, match=text):
        Episode("here", states, actions, rate=50.0)


# The tests below check how ALOHA's HDF5 files are read.


def test_an_hdf5_file_is_an_episode(tmp_path: pathlib.Path) -> None:
    (read,) = read_episodes(write_hdf5(tmp_path / "episode_0.hdf5"), TrainConfig(run=RunConfig(prompt="stack")))
    np.testing.assert_array_equal(read.states, numbers(3))
    np.testing.assert_array_equal(read.actions, numbers(3) + 1)
    assert (read.rate, read.prompt, list(read.cameras)) == (50.0, "stack", ["cam_high"])
    np.testing.assert_array_equal(read.cameras["cam_high"](2), IMAGES[2])


def test_compressed_images(tmp_path: pathlib.Path) -> None:
    smooth = np.zeros((3, 8, 16, 3), np.uint8)
    smooth[..., 0], smooth[..., 2] = 200, 50  # red is not blue
    (read,) = read_episodes(write_hdf5(tmp_path / "episode_0.hdf5", images=jpegs(smooth)), CONFIG)
    image = read.cameras["cam_high"](1)
    assert image.shape == (8, 16, 3) and image.dtype == np.uint8
    assert np.abs(image.astype(int) - smooth[1]).max() <= 3


def test_a_folder_is_read_by_number(tmp_path: pathlib.Path) -> None:
    for number in (10, 2, 1):
        write_hdf5(tmp_path / f"episode_{number}.hdf5", first=number)
    assert [each.states[0, 0] for each in read_episodes(tmp_path, CONFIG)] == [1, 2, 10]


def test_a_file_without_actions_says_what_it_has(tmp_path: pathlib.Path) -> None:
    with h5py.File(tmp_path / "episode_0.hdf5", "w") as file:
        file["observations/qpos"] = numbers(3)
    with pytest.raises(EpisodesError, match="observations/qpos and action, got observations, observations/qpos in"):
        read_episodes(tmp_path, CONFIG)


def test_a_file_cut_short_is_refused(tmp_path: pathlib.Path) -> None:
    path = write_hdf5(tmp_path / "episode_0.hdf5")
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(EpisodesError, match=r"readable HDF5 file, got .*episode_0\.hdf5"):
        read_episodes(path, CONFIG)


def test_what_the_file_says_of_itself(tmp_path: pathlib.Path) -> None:
    path = write_hdf5(tmp_path / "episode_0.hdf5")
    assert read_episodes(path, CONFIG)[0].success is None
    with h5py.File(path, "a") as file:
        file.attrs["prompt"], file.attrs["success"] = "stack", False
    (read,) = read_episodes(path, CONFIG)
    assert (read.prompt, read.success) == ("stack", False)


def test_words_of_a_file_may_be_bytes_but_no_truth(tmp_path: pathlib.Path) -> None:
    path = write_hdf5(tmp_path / "episode_0.hdf5")
    with h5py.File(path, "a") as file:
        file.attrs["prompt"], file.attrs["success"] = np.bytes_("stack"), 1
    (read,) = read_episodes(path, CONFIG)
    assert (read.prompt, read.success) == ("stack", True)
    with h5py.File(path, "a") as file:
        file.attrs["success"] = "false"
    with pytest.raises(EpisodesError, match=r"success of an episode must be true or false, got 'false' in .*episode_0"):
        read_episodes(path, CONFIG)


def test_a_camera_that_stopped_is_refused(tmp_path: pathlib.Path) -> None:
    path = write_hdf5(tmp_path / "episode_0.hdf5", 4, images=IMAGES)
    with pytest.raises(EpisodesError, match="cam_high must have an image for each of 4 steps, got 3 in"):
        read_episodes(path, CONFIG)


def test_a_file_that_is_lost_after_it_was_listed_is_named(tmp_path: pathlib.Path) -> None:
    path = write_hdf5(tmp_path / "episode_0.hdf5", images=IMAGES)
    (read,) = read_episodes(path, CONFIG)
    path.unlink()
    with pytest.raises(EpisodesError, match=r"images must be readable, got .*episode_0\.hdf5: .*; copy or record it"):
        read.cameras["cam_high"](0)


def test_a_damaged_image_is_named(tmp_path: pathlib.Path) -> None:
    files = jpegs(np.zeros((3, 8, 16, 3), np.uint8))
    files[1, 100:] = 0  # cut short
    files[2, :] = 7  # nothing known
    (read,) = read_episodes(write_hdf5(tmp_path / "episode_0.hdf5", images=files), CONFIG)
    for step in (1, 2):
        with pytest.raises(EpisodesError, match=rf"whole JPEG or PNG .* in cam_high, step {step} of .*episode_0"):
            read.cameras["cam_high"](step)


# The tests below check episodes whose rate is not the control rate.


def test_an_episode_at_another_rate() -> None:
    """The steps at 0, 1/30, 2/30, 3/30 s become steps at 0, 1/50 ..

    5/50 s. These are 0, 0.6, 1.2, 1.8, 2.4 and 3 old steps.
    """
    slow = Episode("here", numbers(4, 2), numbers(4, 1), rate=30.0, cameras={"cam": lambda step: np.array(step)})
    fast = at_rate(slow, 50.0)
    assert fast.rate == 50.0
    np.testing.assert_allclose(fast.actions[:, 0], [0, 0.006, 0.012, 0.018, 0.024, 0.03], rtol=1e-5)
    np.testing.assert_allclose(fast.states[:, 1], 0.01 + 2 * fast.actions[:, 0], rtol=1e-5)
    assert [int(fast.cameras["cam"](step)) for step in range(6)] == [0, 0, 1, 1, 2, 3]
    assert at_rate(slow, 30.0) is slow
    # At half the rate steps 0 and 2 are left. The last one has no successor to end at.
    np.testing.assert_allclose(at_rate(slow, 15.0).actions[:, 0], [0, 0.02], rtol=1e-5)


def test_episodes_of_the_control_rate_are_read_as_they_are_without_a_word(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_hdf5(tmp_path / "episode_0.hdf5", 4)
    assert [(len(each), each.rate) for each in read_all([path, path], CONFIG)] == [(4, 50.0)] * 2
    assert capsys.readouterr().out == ""


def test_images_at_some_steps_only() -> None:
    """Steps 0, 1, 4, 6 and 9 have images.

    Images that are at least two steps apart are 0, 4, 6, 9, and at least three apart 0, 4, 9.
    """
    seen = dataclasses.replace(episode(10), image_steps=np.array([0, 1, 4, 6, 9]))
    assert seen_starts(seen, stride=2).tolist() == [0, 4, 6, 9]
    assert seen_starts(seen, stride=3).tolist() == [0, 4, 9]
    assert seen_starts(episode(10), stride=4).tolist() == [0, 4, 8]
    with pytest.raises(EpisodesError, match="must be of 30.0 Hz, got 50.0 Hz in here; set --control_rate"):
        at_rate(seen, 30.0)


# The test below checks which formats are recognized.


def test_what_is_not_known_is_listed(tmp_path: pathlib.Path) -> None:
    with pytest.raises(EpisodesError, match="does not exist"):
        read_episodes(tmp_path / "nowhere", CONFIG)
    with pytest.raises(EpisodesError, match="got a folder with nothing"):
        read_episodes(tmp_path, CONFIG)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(EpisodesError, match=r"\(\*\.hdf5, \*\.h5\), .*info\.json.*metadata\.yaml.* with notes\.txt in"):
        read_episodes(tmp_path, CONFIG)
    with pytest.raises(EpisodesError, match=r"got the file .*notes\.txt"):
        read_episodes(tmp_path / "notes.txt", CONFIG)
