"""Tests what filtered behavior cloning keeps and clones, and what the action vectors of a Gaussian mean."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.types import ChunkOutcome, Observation, Transition
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from experiments.baselines import filtered_bc, gaussian_ppo
from experiments.baselines.chunk_basis import ChunkBasis
from experiments.baselines.cloner import Cloner
from experiments.baselines.episode_filter import EpisodeFilter
from experiments.baselines.filtered_bc import cloning_batch, joined
from experiments.baselines.gaussian_actor import STATE_LIMIT
from experiments.baselines.gaussian_imitation import stack_cameras
from support import small_policy, toy_policy
from support.small_policy import make_tokenizer


def chunks(first: int, *, episode: int, rewards: list[float], end: str = "", success: bool = False) -> list[Transition]:
    """Returns consecutive chunks of one episode, numbered from `first`. The last one ends as `end` says."""
    made = [toy_policy.transition(first + i, episode=episode, reward=reward) for i, reward in enumerate(rewards)]
    last = dataclasses.replace(
        made[-1].outcome, terminated=end == "terminated", truncated=end == "truncated", success=success
    )
    return [*made[:-1], dataclasses.replace(made[-1], outcome=last)]


def numbers(transitions: list[Transition]) -> list[int]:
    return [transition.id.sequence_number for transition in transitions]


SOLVED = {"end": "terminated", "success": True}
FAILED = {"end": "truncated"}


@pytest.mark.parametrize(
    ("best_fraction", "rounds", "kept"),
    [
        # The filter keeps successful episodes only, which are both chunks of episode 0, and episode 2.
        (
            0.0,
            [
                chunks(0, episode=0, rewards=[0.0, 1.0], **SOLVED)
                + chunks(2, episode=1, rewards=[5.0], **FAILED)
                + chunks(3, episode=2, rewards=[1.0], **SOLVED)
            ],
            [[0, 1, 3]],
        ),
        # An end state that is no success is not kept.
        (0.0, [chunks(0, episode=0, rewards=[1.0], end="terminated")], [[]]),
        # An episode counts when it ends, with the chunks of the round before.
        (
            0.0,
            [
                chunks(0, episode=0, rewards=[1.0], **SOLVED) + chunks(1, episode=1, rewards=[0.0, 0.0]),
                chunks(3, episode=1, rewards=[1.0], **SOLVED),
            ],
            [[0], [1, 2, 3]],
        ),
        # Half of three episodes, rounded up, is two. They are those with the returns 3 and 2, in the order of the run.
        (
            0.5,
            [
                chunks(0, episode=0, rewards=[1.0], **SOLVED)
                + chunks(1, episode=1, rewards=[1.0, 2.0], **FAILED)
                + chunks(3, episode=2, rewards=[2.0], **FAILED)
            ],
            [[1, 2, 3]],
        ),
        # Any fraction keeps at least one episode. Episodes of equal returns are all kept.
        (
            0.01,
            [chunks(0, episode=0, rewards=[2.0], **FAILED) + chunks(1, episode=1, rewards=[2.0], **FAILED)],
            [[0, 1]],
        ),
        # Nothing has ended.
        (0.5, [chunks(0, episode=0, rewards=[1.0]), []], [[], []]),
    ],
)
def test_the_filter_keeps_the_chunks_of_good_episodes(
    best_fraction: float, rounds: list[list[Transition]], kept: list[list[int]]
) -> None:
    episodes = EpisodeFilter(best_fraction=best_fraction)
    assert [numbers(episodes.add(one)) for one in rounds] == kept


def test_a_fraction_is_a_fraction() -> None:
    with pytest.raises(ValueError, match="best_fraction must be within 0..1, got 25"):
        EpisodeFilter(best_fraction=25)


def toy_loss(params: Any, batch: Any) -> jax.Array:
    evaluation = toy_policy.evaluate(params, batch.observation, batch.action_tokens, batch.token_mask, temperature=1.0)
    return -jnp.sum(jnp.where(batch.token_mask, evaluation.token_log_probs, 0.0)) / jnp.sum(batch.token_mask)


def test_cloning_raises_the_likelihood_of_what_was_kept_and_lowers_that_of_the_rest() -> None:
    config = dataclasses.replace(PRESETS["debug"].ppo, learning_rate=0.1, num_epochs_per_update=1, batch_size=2)
    params = toy_policy.init_params()
    cloner = Cloner(toy_loss, params, config=config, seed=0)
    loss = cloner.clone(cloning_batch([toy_policy.transition(i, tokens=(0, 0)) for i in range(2)]))
    assert loss == pytest.approx(np.log(2.0))  # before the step each of two symbols has 1/2
    # One step of Adam from zero moments moves each logit by the learning rate against its gradient (-1/2, 1/2). Decay
    # does nothing to zeros. So p(0) = 1 / (1 + exp(-0.2)).
    log_probs = jax.nn.log_softmax(cloner.params["actor_backbone"]["logits"])
    np.testing.assert_allclose(log_probs, [-np.log1p(np.exp(-0.2)), -np.log1p(np.exp(0.2))], atol=1e-5)
    assert cloner.params["value_head"] == params["value_head"]


def test_each_row_is_seen_once_an_epoch_in_minibatches_of_one_size() -> None:
    config = dataclasses.replace(PRESETS["debug"].ppo, num_epochs_per_update=2, batch_size=4)
    cloner = Cloner(toy_loss, toy_policy.init_params(), config=config, seed=0)
    rows = cloner.minibatches(5)
    assert rows.shape == (3, 4)  # 2 * 5 rows fill 2.5 minibatches
    assert sorted(rows.ravel()[:5]) == sorted(rows.ravel()[5:10]) == [0, 1, 2, 3, 4]


def test_kept_chunks_are_joined_in_order() -> None:
    first, second = (cloning_batch([toy_policy.transition(i, tokens=(i, i))]) for i in range(2))
    both = joined(joined(None, first), second)
    assert both.action_tokens[:, 0].tolist() == [0, 1]
    assert both.observation.images.shape == (2, *first.observation.images.shape[1:])


MODEL = make_tokenizer().config
STATE = np.linspace(-0.5, 0.5, 14).astype(np.float32)


def basis(num_coefficients: int) -> ChunkBasis:
    return ChunkBasis(make_tokenizer().norm_stats, MODEL, num_coefficients)


def chunk_of(normalized: np.ndarray) -> np.ndarray:
    """Returns the joint targets of a normalized chunk [H, D] that starts at `STATE`."""
    tokenizer = make_tokenizer()
    return tokenizer.transforms.decode_actions(tokenizer.norm_stats.actions.unnormalize(normalized), STATE)


def test_a_chunk_that_stands_still_is_its_first_coefficients() -> None:
    """The orthonormal DCT of a constant v over H steps is (v sqrt(H), 0, ...).

    The largest coefficient is limit * sqrt(H).
    """
    vector = basis(2).encode(chunk_of(np.full((4, 14), 0.75)), STATE)
    np.testing.assert_allclose(vector, np.repeat([0.75 / MODEL.action_limit, 0.0], 14), atol=1e-5)


def test_all_coefficients_tell_a_chunk_and_one_tells_its_mean() -> None:
    normalized = np.random.default_rng(0).uniform(-1.0, 1.0, (4, 14))
    chunk = chunk_of(normalized)
    np.testing.assert_allclose(basis(4).decode(basis(4).encode(chunk, STATE), STATE), chunk, atol=1e-5)
    mean = chunk_of(np.tile(normalized.mean(axis=0), (4, 1)))
    np.testing.assert_allclose(basis(1).decode(basis(1).encode(chunk, STATE), STATE), mean, atol=1e-5)


def test_vectors_beyond_the_limit_are_clipped_to_it() -> None:
    np.testing.assert_allclose(
        basis(1).decode(np.full(14, 3.0), STATE), chunk_of(np.full((4, 14), MODEL.action_limit)), atol=1e-5
    )


@pytest.mark.parametrize("num_coefficients", [0, 5])
def test_a_chunk_has_as_many_coefficients_as_steps(num_coefficients: int) -> None:
    with pytest.raises(ValueError, match=r"num_coefficients must be within 1..4 \(model.action_horizon\), got"):
        basis(num_coefficients)


def test_cameras_are_stacked_as_channels() -> None:
    images = np.arange(2 * 3 * 4 * 5 * 3).reshape(2, 3, 4, 5, 3)  # [N, C, h, w, 3]
    stacked = stack_cameras(images)
    assert stacked.shape == (2, 4, 5, 9)
    assert stacked[1, 2, 3, 3 * 2 + 1] == images[1, 2, 2, 3, 1]


class Still:
    """A `ChunkEnv` of two chunks an episode that notes what it is asked to do. The second one solves some episodes."""

    def __init__(self, *, solved: tuple[bool, ...] = ()) -> None:
        self._solved = solved
        self.seeds: list[int] = []
        self.chunks: list[np.ndarray] = []

    def reset(self, *, seed: int) -> Observation:
        self.seeds.append(seed)
        self._left = 2
        return self._observe()

    def step_chunk(self, actions: np.ndarray) -> tuple[Observation, float, bool, ChunkOutcome]:
        self.chunks.append(actions)
        self._left -= 1
        ended = self._left == 0
        success = ended and len(self.seeds) <= len(self._solved) and self._solved[len(self.seeds) - 1]
        outcome = ChunkOutcome(
            reward=0.5,
            reward_terms=(),
            execution=ExecutionResult.whole(4),
            terminated=success,
            truncated=ended and not success,
            success=success,
        )
        return self._observe(), 0.5, ended, outcome

    def _observe(self) -> Observation:
        state = STATE + self.seeds[-1] % 7 + self._left
        size = MODEL.image_size
        return Observation(np.full((1, size, size, 3), self._left, np.uint8), np.ones(1, bool), state, "reach")


CONFIG = TrainConfig(model=MODEL)


def make_gym_env(env: Still, **arguments: Any) -> Any:
    pytest.importorskip("gymnasium", reason="needs requirements/experiments.txt")
    from experiments.baselines.gym_env import ChunkGymEnv

    return ChunkGymEnv(env, basis(2), CONFIG, **arguments)


def test_the_environment_is_one_of_gymnasium() -> None:
    gym_env = make_gym_env(Still())
    from gymnasium.utils.env_checker import check_env

    check_env(gym_env, skip_render_check=True)


def test_a_step_is_a_chunk_from_the_present_state() -> None:
    env = Still()
    gym_env = make_gym_env(env)
    gym_env.reset()
    vector = np.linspace(-0.5, 0.5, 28).astype(np.float32)
    restore = STATE + env.seeds[0] % 7
    for left in (2, 1):
        observation, reward, terminated, truncated, _ = gym_env.step(vector)
        np.testing.assert_allclose(env.chunks[-1], basis(2).decode(vector, restore + left), atol=1e-5)
        assert np.all(observation["images"] == left - 1)
        assert np.all(np.abs(observation["state"]) <= STATE_LIMIT)
        assert (reward, terminated, truncated) == (0.5, False, left == 1)
    [episode] = gym_env.pop_episodes()
    assert (episode.episode, episode.total_reward, episode.num_chunks, episode.num_steps) == (0, 1.0, 2, 8)
    assert gym_env.pop_episodes() == []


def test_resets_take_the_training_starts_of_the_run_one_by_one() -> None:
    env = Still()
    gym_env = make_gym_env(env, first_episode=3)
    for seed in (None, None, 5, None):
        gym_env.reset(seed=seed)
    numbered = [(0, 3), (0, 4), (5, 3), (5, 4)]  # (run seed, episode)
    assert env.seeds == [seeds.episode_seed(seeds.TRAINING, run_seed=run, episode=number) for run, number in numbered]


def test_filtered_bc_clones_solved_episodes_and_goes_on_from_what_it_saved(tmp_path: Path) -> None:
    base = small_policy.configure(
        tmp_path, run={"pretrained_checkpoint_path": str(small_policy.save_openpi(tmp_path / "start"))}
    )
    ppo = dataclasses.replace(base.ppo, num_chunks_per_update=4, batch_size=4, num_epochs_per_update=1)
    config = dataclasses.replace(base, ppo=ppo)
    method = filtered_bc.begin(config, Still(solved=(False, True, True)), greedy=False, options={})
    loaded = restore.load(Checkpoint.open(tmp_path / "start"), config).params["actor_backbone"]
    metrics, episodes = method.update()  # episodes 0 and 1, of which 1 is solved
    assert [episode.success for episode in episodes] == [False, True]
    assert (metrics["cloning/new_chunks"], metrics["cloning/chunks"]) == (2, 2)
    metrics, _ = method.update()  # episode 2 is solved, episode 3 is not
    assert (metrics["cloning/new_chunks"], metrics["cloning/chunks"]) == (2, 4)
    assert (method.counters.policy_version, method.counters.num_chunks, method.counters.next_episode) == (2, 8, 4)
    learned = method.cloner.params["actor_backbone"]
    assert any(not np.array_equal(*leaves) for leaves in zip(*map(jax.tree.leaves, (loaded, learned)), strict=True))
    method.save()
    resumed = filtered_bc.begin(config, Still(), greedy=False, options={})
    assert resumed.counters == method.counters
    assert resumed.kept is not None
    assert len(resumed.kept) == 4
    kept = [(one.cloner.params, one.cloner.state, one.kept) for one in (method, resumed)]
    jax.tree.map(np.testing.assert_array_equal, *kept)


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skrl", None)
    monkeypatch.delitem(sys.modules, "experiments.baselines.skrl_ppo", raising=False)
    with pytest.raises(
        gaussian_ppo.MissingPackage, match=r"must have skrl and gymnasium, got no skrl; run .*-r requirem"
    ):
        gaussian_ppo.begin(CONFIG, Still(), greedy=True, options={})
