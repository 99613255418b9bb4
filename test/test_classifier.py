"""Tests the success classifier: its labels, what is held out, its threshold, what it learns, and its file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.config import PRESETS, RewardConfig, TrainConfig
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.imitation import train_classifier as training
from chunk_ppo_ros.imitation.success_classifier import IMAGE_SIZE, ClassifierError, SuccessClassifier, fit, init, logits
from support.seen_values import SeenValues

NUM_STEPS = 20
CONFIG = dataclasses.replace(
    PRESETS["debug"], model=dataclasses.replace(PRESETS["debug"].model, cameras=("base_0_rgb",))
)


def view(*, solved: bool, seed: int) -> np.ndarray:
    """Returns an image of noise. Where the task is solved it has a bright square somewhere."""
    random = np.random.default_rng(seed)
    image = random.integers(100, size=(IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    if solved:
        top, left = random.integers(8, 40, size=2)
        image[top : top + 16, left : left + 16] = 255
    return image


def episode(number: int, *, success: bool | None, solved_from: int = NUM_STEPS - 5) -> Episode:
    def read(step: int) -> np.ndarray:
        return view(solved=bool(success) and step >= solved_from, seed=100 * number + step)

    blank = np.zeros((NUM_STEPS, 14), np.float32)
    return Episode(f"episode {number}", blank, blank, 50.0, success=success, cameras={"cam_high": read})


EPISODES = [episode(number, success=number % 2 == 0) for number in range(10)]


# The tests below check which images are labels, and which episodes are held out.


def test_the_end_of_a_success_shows_it_and_nothing_else_does() -> None:
    data = training.label_images(EPISODES[:2], ["cam_high"], last_steps=5)
    # Labels of the success are steps 0, 5, 10 of the fifteen before the end and all five of the end. Labels of the
    # failure are steps 0, 5, 10, 15.
    assert data.success.tolist() == [False] * 3 + [True] * 5 + [False] * 4
    assert data.episode.tolist() == [0] * 8 + [1] * 4
    np.testing.assert_array_equal(data.images[3, 0], view(solved=True, seed=15))
    assert data.images.shape == (12, 1, IMAGE_SIZE, IMAGE_SIZE, 3)


def test_only_steps_with_images_are_read() -> None:
    sparse = dataclasses.replace(EPISODES[0], image_steps=np.array([0, 8, 16]))
    assert training.label_images([sparse], ["cam_high"], last_steps=5).success.tolist() == [False, True]


def with_end(episode: Episode) -> Episode:
    seed, solved = int(episode.source.split()[-1]), bool(episode.success)
    ends = {"cam_high": lambda: view(solved=solved, seed=1000 + seed)}
    return dataclasses.replace(episode, image_steps=np.array([0, 8, 16]), end_images=ends)


def test_the_image_from_after_the_last_chunk_of_a_run_counts_as_its_last_step() -> None:
    """Of the success, steps 0 and 8 are before the end, step 16 is one of the last five, and so is what came after."""
    episodes = [with_end(one) for one in EPISODES[:2]]
    data = training.label_images(episodes, ["cam_high"], last_steps=5)
    assert data.success.tolist() == [False, True, True, False, False]
    assert data.episode.tolist() == [0, 0, 0, 1, 1]
    np.testing.assert_array_equal(data.images[[2, 4], 0], [view(solved=True, seed=1000), view(solved=False, seed=1001)])
    alone = training.label_images(episodes[:1], ["cam_high"], last_steps=1)
    assert alone.success.tolist() == [False, True]


def test_a_run_that_was_recorded_without_its_cameras_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    without = dataclasses.replace(EPISODES[0], image_steps=np.array([0]))
    with pytest.raises(ClassifierError, match=r"got none in episode 0.*record one robot with run.bag_cameras"):
        training.with_ends([without])
    cut = dataclasses.replace(with_end(EPISODES[2]), end_images={})
    assert training.with_ends([EPISODES[1], cut, with_end(EPISODES[4])])[0] is EPISODES[1]
    assert capsys.readouterr().out == "episode 2 is left out: the cameras were not recorded right after it\n"


def test_episodes_must_say_how_they_ended_and_have_the_cameras() -> None:
    with pytest.raises(ClassifierError, match="must say whether it succeeded, got none in episode 7"):
        training.label_images([episode(7, success=None)], ["cam_high"], last_steps=5)
    with pytest.raises(ClassifierError, match="must have images of cam_low, got cam_high in episode 0"):
        training.label_images(EPISODES[:1], ["cam_low"], last_steps=5)


def test_episodes_are_held_out_as_a_whole() -> None:
    data = training.label_images(EPISODES, ["cam_high"], last_steps=5)
    trained, held = training.hold_out(data, seed=0)
    assert not set(trained.episode) & set(held.episode)
    assert len(set(held.episode)) == 2  # a fifth of five successes and of five failures
    assert held.success.any()


def test_one_success_is_too_few_to_hold_one_out() -> None:
    data = training.label_images(EPISODES[:2], ["cam_high"], last_steps=5)
    with pytest.raises(ClassifierError, match="got 1 episode with images of success among 2; record more"):
        training.hold_out(data, seed=0)


# The test below checks the choice of the threshold.


@pytest.mark.parametrize(
    ("probabilities", "success", "expected"),
    [
        ([0.1, 0.2, 0.8, 0.9], [False, False, True, True], (0.5, 1.0)),  # anything within 0.2..0.8 parts them
        ([0.1, 0.6, 0.8, 0.9], [False, False, True, True], (0.7, 1.0)),  # the middle of 0.6 and 0.8
        # One failure looks like a success. At best all of success and half of the rest are right, which is 3/4.
        ([0.1, 0.9, 0.7, 0.8], [False, False, True, True], (0.5, 0.75)),
    ],
)
def test_the_threshold_parts_success_from_the_rest(
    probabilities: list[float], success: list[bool], expected: tuple[float, float]
) -> None:
    found = training.choose_threshold(np.array(probabilities), np.array(success))
    assert found == pytest.approx(expected)


# The tests below check what the classifier learns, and its file.


@pytest.fixture(scope="module")
def classifier() -> SuccessClassifier:
    return training.train_classifier(EPISODES, CONFIG, num_steps=40, last_steps=5)


def test_batches_are_one_half_success_and_randomly_shifted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is one number times the share of blue. Each pixel holds its row and column, and blue is success."""
    seen = SeenValues()

    def score(params: dict[str, jax.Array], images: jax.Array) -> jax.Array:
        seen.see(images)
        return params["w"] * jnp.mean(images[..., 2] / 255.0, axis=(1, 2, 3))

    monkeypatch.setattr(training, "init", lambda num_cameras, *, key: {"w": jnp.zeros(())})
    monkeypatch.setattr(training, "logits", score)
    rows, columns = np.indices((IMAGE_SIZE, IMAGE_SIZE))
    success = np.array([True, False, False, False])
    images = np.stack([np.stack([rows, columns, np.full_like(rows, 255 * solved)], axis=-1) for solved in success])
    losses: list[float] = []
    data = training.LabeledImages(images[:, None].astype(np.uint8), success, np.arange(4))
    params = training.train(data, num_steps=3, seed=0, on_step=losses.append)
    # Adam's steps have the size of its rate. The cross entropy is ln 2 where nothing is learned.
    assert float(params["w"]) == pytest.approx(3e-3, rel=1e-3)
    assert losses[0] == pytest.approx(np.log(2.0))
    batches = np.stack(seen.read()).astype(int)
    assert batches.shape == (3, 32, 1, IMAGE_SIZE, IMAGE_SIZE, 3)
    is_success = np.arange(32) < 16
    np.testing.assert_array_equal(batches[:, :, 0, 0, 0, 2] == 255, np.tile(is_success, (3, 1)))
    shifts = batches[:, :, 0, 32, 32, :2] - 32
    assert set(shifts.reshape(-1).tolist()) == set(range(-4, 5))
    np.testing.assert_array_equal(batches[:, :, 0, 0, 0, :2], np.maximum(shifts, 0))  # The edge is repeated.
    np.testing.assert_array_equal(batches[:, :, 0, -1, -1, :2], np.minimum(63 + shifts, 63))


def test_it_learns_what_can_be_told_apart(classifier: SuccessClassifier) -> None:
    assert classifier.held_out_accuracy >= 0.9
    assert classifier.cameras == ("cam_high",)
    for seed in range(1_000, 1_005):
        shown, hidden = (
            classifier.probability({"cam_high": view(solved=solved, seed=seed)}) for solved in (True, False)
        )
        assert hidden < classifier.threshold <= shown


def test_its_file_keeps_all(classifier: SuccessClassifier, tmp_path: Path) -> None:
    path = tmp_path / "new" / "door.npz"
    classifier.save(path)
    assert [each.name for each in path.parent.iterdir()] == ["door.npz"]
    loaded = SuccessClassifier.load(path)
    assert dataclasses.replace(loaded, params=None) == dataclasses.replace(classifier, params=None)
    image = {"cam_high": view(solved=True, seed=3)}
    assert loaded.probability(image) == classifier.probability(image)


@pytest.mark.parametrize("content", [None, b"", b"something else"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "none.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        ClassifierError, match=r"reward\.classifier must be a file of `train-classifier`, got .*none.npz"
    ):
        SuccessClassifier.load(path)


@pytest.mark.parametrize("reward", [{"sources": ("classifier",)}, {"classifier": "door.npz"}])
def test_the_source_and_its_file_go_together(reward: dict) -> None:
    with pytest.raises(ValueError, match=r"reward\.classifier must be given exactly where reward\.sources has"):
        TrainConfig(reward=RewardConfig(**reward))


def test_images_of_any_size_are_fitted() -> None:
    assert fit([np.zeros((480, 640, 3), np.uint8)] * 2).shape == (2, IMAGE_SIZE, IMAGE_SIZE, 3)
    params = jax.eval_shape(lambda: init(2, key=jax.random.key(0)))
    assert params["params"]["Conv_0"]["kernel"].shape == (3, 3, 6, 16)


def test_the_network_has_four_strided_convolutions_and_centers_its_images() -> None:
    """The network takes a gray of 127.5 for 0, which stays 0 because fresh biases are 0."""
    params = init(2, key=jax.random.key(0))
    shapes = {name: layer["kernel"].shape for name, layer in params["params"].items()}
    convolutions = [shapes[f"Conv_{number}"] for number in range(4)]
    assert convolutions == [(3, 3, 6, 16), (3, 3, 16, 32), (3, 3, 32, 32), (3, 3, 32, 32)]
    assert (shapes["Dense_0"], shapes["Dense_1"]) == ((4 * 4 * 32, 64), (64, 1))  # 64 pixels, halved four times
    gray = np.full((3, 2, IMAGE_SIZE, IMAGE_SIZE, 3), 127.5, np.float32)
    np.testing.assert_array_equal(logits(params, gray), np.zeros(3))
    white = np.asarray(logits(params, np.full_like(gray, 255.0)))
    assert np.all(np.abs(white) > 0.0) and np.all(np.abs(white) < 5.0)


def test_a_file_of_another_format_is_refused(classifier: SuccessClassifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "door.npz")
    arrays = dict(np.load(tmp_path / "door.npz"))
    arrays["metadata"] = np.array(str(arrays["metadata"]).replace('"format": 1', '"format": 2'))
    np.savez(tmp_path / "later.npz", **arrays)
    with pytest.raises(ClassifierError, match=r"later.npz must be of format 1, got another; train the"):
        SuccessClassifier.load(tmp_path / "later.npz")


def test_the_command_writes_a_classifier(
    classifier: SuccessClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict[str, int]] = []
    classifier = dataclasses.replace(classifier, held_out_accuracy=0.95)

    def train(episodes: list[Episode], config: TrainConfig, **options: int) -> SuccessClassifier:
        assert episodes == EPISODES
        asked.append(options)
        return classifier

    monkeypatch.setattr(training, "read_all", lambda paths, config: EPISODES)
    monkeypatch.setattr(training, "train_classifier", train)
    output = tmp_path / "door.npz"
    arguments = ["recordings", "--output", str(output), "--cameras", "base_0_rgb", "--insist", "identical_episodes"]
    assert training.main(arguments) == 0
    assert training.main([*arguments, "--num_steps", "1", "--last_steps", "1"]) == 0
    assert asked == [{"num_steps": 1000, "last_steps": 10}, {"num_steps": 1, "last_steps": 1}]
    assert SuccessClassifier.load(output).threshold == classifier.threshold
    assert "warning" not in capsys.readouterr().out
    classifier = dataclasses.replace(classifier, held_out_accuracy=0.94)
    assert training.main(arguments) == 0
    printed = capsys.readouterr().out
    assert f"wrote {output}; use it by reward.sources [classifier]" in printed
    assert "warning: below 95% the policy finds what the classifier takes for success" in printed
    for wrong in (("--num_steps", "0"), ("--last_steps", "0")):
        with pytest.raises(SystemExit):
            training.main([*arguments, *wrong])
        assert "--num_steps and --last_steps must be at least 1, got " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        training.main(["recordings", "--output", str(tmp_path / "door")])
    assert f"--output must end with .npz, got {tmp_path}/door; write {tmp_path}/door.npz" in capsys.readouterr().err
