"""Trains a success classifier on the camera images of recorded episodes, each marked as a success or a failure.

The last images of a successful episode show success, and all other images do not. So a demonstration must end right
after the task is solved. An episode of a recorded run ends with the image from after its last chunk, which is what
classifier_node judges. Whole episodes are held out, because neighboring images of an episode are nearly the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from chunk_ppo_ros.config import TrainConfig, flags
from chunk_ppo_ros.config.commands.recordings import train_classifier_parser
from chunk_ppo_ros.core.folders import check_file
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.core_jax.arrays import Params
from chunk_ppo_ros.data.episode import Episode, camera_names
from chunk_ppo_ros.imitation.inspection.before_work import FOR_IMAGES, check_before, check_frames
from chunk_ppo_ros.imitation.reading import read_all
from chunk_ppo_ros.imitation.success_classifier import ClassifierError, SuccessClassifier, fit, init, logits
from chunk_ppo_ros.reporting.progress import progress_bar
from chunk_ppo_ros.robot import aloha

SAFE_ACCURACY = 0.95
"""The accuracy below which a policy finds what the classifier takes for success; a warning says so."""

HELD_OUT = 0.2
"""The share of the successful and of the other episodes that is held out; at least one of each."""

IMAGE_STRIDE = 5
"""The number of control steps between two images that are read. Neighboring images are nearly the same."""

BATCH_SIZE = 32
LEARNING_RATE = 1e-3

MAX_SHIFT = 4
"""The largest random shift of an image in training, pixels (Yarats et al., 2021, "DrQ")."""


@dataclasses.dataclass(frozen=True)
class LabeledImages:
    """The camera images of N moments with their labels.

    Attributes:
        images: uint8 [N, C, 64, 64, 3], RGB.
        success: bool [N], whether the task is solved at that moment.
        episode: int [N], number of the episode that the moment belongs to.
    """

    images: np.ndarray
    success: np.ndarray
    episode: np.ndarray

    def take(self, index: np.ndarray) -> LabeledImages:
        """Returns the moments of `index`."""
        return LabeledImages(self.images[index], self.success[index], self.episode[index])


def label_images(episodes: Sequence[Episode], cameras: Sequence[str], *, last_steps: int) -> LabeledImages:
    """Returns the images of episodes with their labels.

    Args:
        episodes: recorded episodes.
        cameras: names of the C cameras, as the episodes call them.
        last_steps: number of control steps at the end of a successful episode that show success. The moment after the
            last chunk of a recorded run counts as one of them.

    Raises:
        ClassifierError: when an episode does not say whether it succeeded, or lacks a camera.
    """
    images, success, numbers = [], [], []
    for number, episode in enumerate(episodes):
        _check(episode, cameras)
        steps = np.arange(len(episode)) if episode.image_steps is None else episode.image_steps
        solved_from = len(episode) + bool(episode.end_images) - last_steps if episode.success else len(episode)
        # All images of the successful end are read, but only one in `IMAGE_STRIDE` of those before it.
        chosen = [*steps[steps < solved_from][::IMAGE_STRIDE], *steps[steps >= solved_from]]
        moments = [
            (fit([episode.cameras[name](int(step)) for name in cameras]), step >= solved_from) for step in chosen
        ]
        if episode.end_images:
            moments.append((fit([episode.end_images[name]() for name in cameras]), bool(episode.success)))
        images += [image for image, _ in moments]
        success += [is_solved for _, is_solved in moments]
        numbers += [number] * len(moments)
    return LabeledImages(np.stack(images), np.array(success), np.array(numbers))


def with_ends(episodes: Sequence[Episode]) -> list[Episode]:
    """Returns the episodes whose end can be seen, and prints a line for each other one.

    Raises:
        ClassifierError: when an episode is of a run that was recorded without its cameras.
    """
    for episode in episodes:
        if episode.image_steps is not None and episode.end_images is None:
            raise ClassifierError(
                f"a recorded run must have the images of its cameras, got none in {episode.source}, so that nothing "
                "shows what came after a chunk; record one robot with run.bag_cameras (--record --bag_cameras)"
            )
    for episode in episodes:
        if episode.end_images == {}:
            print(f"{episode.source} is left out: the cameras were not recorded right after it")
    return [episode for episode in episodes if episode.end_images != {}]


def _check(episode: Episode, cameras: Sequence[str]) -> None:
    if episode.success is None:
        raise ClassifierError(
            f"an episode must say whether it succeeded, got none in {episode.source}; see docs/rewards.md"
        )
    missing = [camera for camera in cameras if camera not in episode.cameras]
    if missing:
        raise ClassifierError(
            f"an episode must have images of {', '.join(cameras)}, got {', '.join(episode.cameras) or 'none'} in "
            f"{episode.source}; name its cameras by --episode_cameras"
        )


def hold_out(labeled: LabeledImages, *, seed: int) -> tuple[LabeledImages, LabeledImages]:
    """Returns the images for training and those that are held out.

    It holds out some of the successful episodes and some of the others, as wholes.

    Raises:
        ClassifierError: when there are fewer than two successful episodes, or fewer than two others.
    """
    random = np.random.default_rng(seed)
    held = np.zeros(len(labeled.success), bool)
    solved = set(labeled.episode[labeled.success].tolist())
    for kind in (solved, set(labeled.episode.tolist()) - solved):
        number = max(1, round(HELD_OUT * len(kind))) if len(kind) > 1 else 0
        chosen = random.permutation(sorted(kind))[:number]
        held |= np.isin(labeled.episode, chosen)
    parts = labeled.take(np.flatnonzero(~held)), labeled.take(np.flatnonzero(held))
    for part in parts:
        if not (part.success.any() and (~part.success).any()):
            raise ClassifierError(
                "training and held-out episodes must both have images of success and of none, got "
                f"{count_of(len(solved), 'episode')} with images of success among "
                f"{len(set(labeled.episode.tolist()))}; record more, until after the task is solved, or raise "
                "--last_steps"
            )
    return parts


def train(
    labeled: LabeledImages, *, num_steps: int, seed: int, on_step: Callable[[float], object] = lambda loss: None
) -> Params:
    """Returns parameters that minimize the cross entropy on batches of randomly shifted images.

    Half of each batch shows success.
    """
    optimizer = optax.adam(LEARNING_RATE)
    params = init(labeled.images.shape[1], key=jax.random.key(seed))

    @jax.jit
    def step(
        params: Params, state: optax.OptState, images: np.ndarray, labels: np.ndarray
    ) -> tuple[Params, optax.OptState, jax.Array]:
        def loss_of(params: Params) -> jax.Array:
            return jnp.mean(optax.sigmoid_binary_cross_entropy(logits(params, images), labels))

        loss, gradients = jax.value_and_grad(loss_of)(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    state = optimizer.init(params)
    random = np.random.default_rng(seed)
    kinds = [np.flatnonzero(labeled.success), np.flatnonzero(~labeled.success)]
    labels = np.repeat([1.0, 0.0], BATCH_SIZE // 2).astype(np.float32)
    for _ in range(num_steps):
        index = np.concatenate([random.choice(kind, BATCH_SIZE // 2) for kind in kinds])
        params, state, loss = step(params, state, _shifted(labeled.images[index], random), labels)
        on_step(float(loss))
    return params


def _shifted(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns each moment's images, moved by up to `MAX_SHIFT` pixels. The pixels at the edge are repeated."""
    size = images.shape[2]
    padded = np.pad(images, ((0, 0), (0, 0), (MAX_SHIFT, MAX_SHIFT), (MAX_SHIFT, MAX_SHIFT), (0, 0)), mode="edge")
    corners = random.integers(2 * MAX_SHIFT + 1, size=(len(images), 2))
    return np.stack(
        [row[:, top : top + size, left : left + size] for row, (top, left) in zip(padded, corners, strict=True)]
    )


def choose_threshold(probabilities: np.ndarray, success: np.ndarray) -> tuple[float, float]:
    """Returns the threshold with the highest accuracy, and that accuracy.

    The accuracy is the mean of the accuracy on images of success and of that on the others. A threshold lies in the
    middle between two probabilities. Of several thresholds with the same accuracy, the one nearest to 0.5 is taken.
    """
    ordered = np.unique([0.0, *probabilities, 1.0])
    candidates = [*((ordered[1:] + ordered[:-1]) / 2.0), 0.5]
    scores = [
        (np.mean(probabilities[success] >= each) + np.mean(probabilities[~success] < each)) / 2.0 for each in candidates
    ]
    best = max(range(len(candidates)), key=lambda index: (scores[index], -abs(candidates[index] - 0.5)))
    return float(candidates[best]), float(scores[best])


def train_classifier(
    episodes: Sequence[Episode], config: TrainConfig, *, num_steps: int, last_steps: int
) -> SuccessClassifier:
    """Returns a classifier trained on some of the episodes, with the threshold that fits the others best.

    Raises:
        ClassifierError: when `label_images` or `hold_out` raises it.
    """
    labeled = label_images(episodes, camera_names(config), last_steps=last_steps)
    trained, held = hold_out(labeled, seed=config.run.seed)
    with progress_bar("training", unit="step", total=num_steps, compiles=True) as bar:
        params = train(trained, num_steps=num_steps, seed=config.run.seed, on_step=lambda loss: bar.update())
    probabilities = np.concatenate(
        [jax.nn.sigmoid(logits(params, part)) for part in np.array_split(held.images, -(-len(held.images) // 256))]
    )
    threshold, accuracy = choose_threshold(probabilities, held.success)
    cameras = tuple(aloha.ROBOT_CAMERAS[key] for key in config.model.cameras)
    print(
        f"trained on {count_of(len(trained.success), 'image')}, {np.mean(trained.success):.0%} of success; on "
        f"{count_of(len(held.success), 'image')} of held-out episodes the accuracy is {accuracy:.1%} at the threshold "
        f"{threshold:.2f}"
    )
    return SuccessClassifier(params, cameras, threshold, accuracy)


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo train-classifier EPISODES ... --output FILE`."""
    parser = train_classifier_parser()
    parsed = parser.parse_args(arguments)
    config = flags.config_or_exit(parser, parsed)
    if parsed.num_steps < 1 or parsed.last_steps < 1:
        parser.error(f"--num_steps and --last_steps must be at least 1, got {parsed.num_steps} and {parsed.last_steps}")
    check_file(parsed.output, "--output")
    if parsed.output.suffix != ".npz":  # numpy would add it, and the file would have another name.
        parser.error(f"--output must end with .npz, got {parsed.output}; write {parsed.output}.npz")
    episodes = with_ends(read_all(parsed.episodes, config))
    check_before(episodes, config, FOR_IMAGES)
    check_frames(episodes, config)
    classifier = train_classifier(episodes, config, num_steps=parsed.num_steps, last_steps=parsed.last_steps)
    classifier.save(parsed.output)
    print(f"wrote {parsed.output}; use it by reward.sources [classifier] and reward.classifier {parsed.output}")
    if classifier.held_out_accuracy < SAFE_ACCURACY:
        print(
            f"warning: below {SAFE_ACCURACY:.0%} the policy finds what the classifier takes for success; record more "
            "episodes, and failures that look like a success (docs/rewards.md)"
        )
    return 0
