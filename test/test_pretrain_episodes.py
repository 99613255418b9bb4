"""Tests imitation of recorded episodes: which are held out, what is fitted, and the checkpoint that it writes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.run_start.tokenizer_fitting import fit
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import CheckpointError, ContradictedCheckpoint, EpisodesError, UserError
from chunk_ppo_ros.core.types import ModelObservation
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.imitation import behavior_cloning, clone_recorded, command
from chunk_ppo_ros.imitation.behavior_cloning import CloningBatch
from chunk_ppo_ros.imitation.clone_recorded import clone_episodes, leave_out_failures, make_score, split_episodes
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.tokenization.assets import PolicyAssets
from support import small_policy
from support.recordings import jpegs, write_hdf5

STEPS = 8
TOO_FEW = r"tokens: all 12 chunks need at most 38 action tokens .*is 22.*set --max_action_tokens 38 --max_token_len 100"


def configure(folder: Path, *, run: dict[str, Any] | None = None, **changes: Any) -> TrainConfig:
    """Returns a configuration of the small model with a token slot for each coefficient.

    Chunks of noise are not compressed.
    """
    sizes = {"max_token_len": 100, "max_action_tokens": 70}
    config = small_policy.configure(folder, run={"prompt": "stack", **(run or {})}, **sizes)
    settings = {"bc_steps": 3, "bc_batch_size": 4, "chunk_stride": 2, "validation_fraction": 0.2, **changes}
    return dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain, **settings))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes three ALOHA episodes of 8 steps, the second with JPEG images."""
    folder, random = tmp_path_factory.mktemp("recorded"), np.random.default_rng(0)
    for number in range(3):
        images = random.integers(0, 256, (STEPS, 24, 32, 3), dtype=np.uint8)
        path = write_hdf5(folder / f"episode_{number}.hdf5", STEPS, images=jpegs(images) if number == 1 else images)
        with h5py.File(path, "a") as file:
            file["action"][:] = random.uniform(0.0, 1.0, (STEPS, 14))
    return folder


def test_a_checkpoint_that_training_starts_from(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(tmp_path)
    folder = clone_episodes([recorded], config, tmp_path / "checkpoints" / "one")
    printed = capsys.readouterr().out
    # Training takes 2 of 3 episodes, each with chunks at steps 0, 2, 4 and 6.
    assert "imitates 8 chunks of 2 episodes, 1 task; " in printed
    assert "1 held-out episode: " in printed and " nats per token before, " in printed
    opened = Checkpoint.open(folder)
    bundle = restore.load(opened, config)
    # The configured task and simulator had no part in the imitation. The checkpoint says the model, and the prompt of
    # the episodes.
    assert {name for name in opened.settings.values if not name.startswith("model.")} == {
        *("run.prompt", "episode.prompts", "episode.prompt_sampling", "recordings.arm_order"),
        *("recordings.channel_order", "robot.control_rate", "robot.gripper_convention", "robot.gripper_numbers"),
    }
    assert opened.settings.values["run.prompt"] == "stack"
    assert bundle.provenance.kind == "openpi"
    # Joint 0 of an episode is 0, 0.14 .. 0.98. The starts are at 0, 0.28, 0.56 and 0.84.
    assert bundle.tokenizer.norm_stats.state.mean[0] == pytest.approx(0.42, abs=1e-5)
    fresh = bundle.policy.init(key=jax.random.key(config.run.seed))["actor_backbone"]
    imitator = bundle.params["actor_backbone"]
    assert not all(jax.tree.leaves(jax.tree.map(lambda new, old: np.array_equal(new, old), imitator, fresh)))
    # Nothing is left beside the checkpoint but what was measured of it, and the picture of what the policy sees first.
    assert sorted(child.name for child in folder.parent.iterdir()) == ["one", "one.json", "one.png"]
    size = config.model.image_size
    with Image.open(folder.with_name("one.png")) as picture:
        assert picture.size == (size * len(config.model.cameras), size * 2)  # Two episodes are imitated.


def test_pretrained_weights_keep_their_tokenizers(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = small_policy.save_openpi(tmp_path / "source")
    config = configure(tmp_path, run={"pretrained_checkpoint_path": str(source)}, validation_fraction=0.0)
    monkeypatch.setattr(behavior_cloning, "clone", lambda policy, params, batch, config, *, on_step: params)
    folder = clone_episodes([recorded], config, tmp_path / "checkpoints" / "tuned")
    np.testing.assert_array_equal(
        PolicyAssets.find(folder / "assets").norm_stats.actions.q99,
        PolicyAssets.find(source / "assets").norm_stats.actions.q99,
    )
    tuned, before = (restore.load(Checkpoint.open(each), config).params["actor_backbone"] for each in (folder, source))
    jax.tree.map(np.testing.assert_array_equal, tuned, before)


@pytest.mark.parametrize("change", [{"delta_actions": False}, {"adapt_to_pi": True}, {"action_horizon": 3}])
def test_settings_of_another_meaning_are_named_before_chunks_are_counted_or_images_read(
    change: dict[str, Any], recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks would be counted as clipped, which would say nothing of the setting."""
    source = small_policy.save_own(tmp_path / "source")
    config = configure(tmp_path, run={"pretrained_checkpoint_path": str(source)})
    config = dataclasses.replace(config, model=dataclasses.replace(small_policy.MODEL, **change))
    monkeypatch.delattr(clone_recorded, "read_all")
    with pytest.raises(ContradictedCheckpoint, match=f"model.{next(iter(change))}: checkpoint"):
        clone_episodes([recorded], config, tmp_path / "checkpoints" / "tuned")


@pytest.mark.parametrize(
    ("prompts", "kept"), [(("fold", "fold", "fold"), "fold"), (("fold", "stack", "fold"), "the setting")]
)
def test_the_prompt_of_the_checkpoint(
    prompts: tuple[str, ...], kept: str, recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prompt is that of the episodes where all have the same one, and run.prompt where they differ."""
    source = small_policy.save_openpi(tmp_path / "source")
    run = {"pretrained_checkpoint_path": str(source), "prompt": "the setting"}
    config = configure(tmp_path, run=run, validation_fraction=0.0)
    episodes = clone_recorded.read_all([recorded], config)
    with_prompts = [dataclasses.replace(one, prompt=prompt) for one, prompt in zip(episodes, prompts, strict=True)]
    monkeypatch.setattr(clone_recorded, "read_all", lambda *_: with_prompts)
    monkeypatch.setattr(behavior_cloning, "clone", lambda policy, params, batch, config, *, on_step: params)
    folder = clone_episodes([recorded], config, tmp_path / "checkpoints" / "one")
    assert Checkpoint.open(folder).settings.values["run.prompt"] == kept


def test_tokenizers_of_a_folder_with_statistics_of_the_episodes(recorded: Path, tmp_path: Path) -> None:
    small_policy.make_tokenizer().save(tmp_path / "tokenizers")
    config = configure(tmp_path, run={"tokenizer_dir": str(tmp_path / "tokenizers")})
    episodes = clone_recorded.read_all([recorded], config)
    chunks = clone_recorded.read_chunks(episodes, config, folder=tmp_path, stride=2)
    fitted = fit(chunks, config)
    assert fitted.fast.bpe.to_str() == small_policy.make_tokenizer().fast.bpe.to_str()
    assert fitted.norm_stats.state.mean[0] == pytest.approx(0.42, abs=1e-5)
    wrong = configure(tmp_path, run={"tokenizer_dir": str(tmp_path / "nowhere")})
    with pytest.raises(UserError, match=r"tokenizers of .*nowhere \(run.tokenizer_dir\) cannot be used"):
        fit(chunks, wrong)


def test_the_command_takes_several_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[Any] = []
    monkeypatch.setattr(command, "clone_episodes", lambda *given, start: called.append(given) or given[2])
    arguments = ["--episodes", "a", "b", "--exp_name", "mine", "--checkpoint_root", str(tmp_path), "--bc_steps", "5"]
    assert main(["pretrain", *arguments]) == 0
    ((paths, config, directory),) = called
    assert (paths, config.pretrain.bc_steps, directory) == ([Path("a"), Path("b")], 5, tmp_path / "mine-imitation")
    assert f"wrote {tmp_path / 'mine-imitation'}" in capsys.readouterr().out
    monkeypatch.setattr(command, "clone_demonstrations", lambda *given: called.append(given) or given[1])
    assert main(["pretrain", *arguments[3:]]) == 0  # Without episodes it imitates demonstrations.
    assert called[1:] == [(config, tmp_path / "mine-imitation")]


def test_a_folder_that_exists_is_refused_before_episodes_are_read(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(CheckpointError, match="must not exist yet"):
        clone_episodes([recorded / "nowhere"], configure(tmp_path), tmp_path / "there")


def test_missing_episodes_are_refused(recorded: Path, tmp_path: Path) -> None:
    with pytest.raises(EpisodesError, match="does not exist"):
        clone_episodes([recorded / "nowhere"], configure(tmp_path), tmp_path / "one")


def test_episodes_of_another_robot_are_refused(recorded: Path, tmp_path: Path) -> None:
    config = configure(tmp_path)
    smaller = dataclasses.replace(config, model=dataclasses.replace(config.model, action_dim=7))
    with pytest.raises(EpisodesError, match=r"actions of 7 dimensions \(model.action_dim\), got 14 and 14"):
        clone_episodes([recorded], smaller, tmp_path / "one")


def test_chunks_of_too_many_tokens_are_refused_and_named(recorded: Path, tmp_path: Path) -> None:
    config = configure(tmp_path)
    short = dataclasses.replace(config, model=dataclasses.replace(config.model, max_action_tokens=22))
    with pytest.raises(EpisodesError, match=TOO_FEW):
        clone_episodes([recorded], short, tmp_path / "one")


def test_tokenizers_that_do_not_fit_the_model_are_an_error_of_the_episodes(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ValueError("vocab_size is too small")

    monkeypatch.setattr(clone_recorded, "Pi0FASTActorCritic", refuse)
    with pytest.raises(EpisodesError, match="the tokenizers must fit the model: vocab_size is too small"):
        clone_episodes([recorded], configure(tmp_path), tmp_path / "one")
    assert not (tmp_path / "one").exists()


def episodes(*outcomes: bool | None) -> list[Episode]:
    one = np.zeros((1, 1), np.float32)
    return [Episode(str(number), one, one, 50.0, success=outcome) for number, outcome in enumerate(outcomes)]


def test_failures_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert [each.source for each in leave_out_failures(episodes(None, False, True, False))] == ["0", "2"]
    assert "2 of 4 episodes are marked as failures and are left out" in capsys.readouterr().out
    with pytest.raises(EpisodesError, match="at least one, got 1, all of them marked as failures"):
        leave_out_failures(episodes(False))


def test_a_tenth_of_eleven_episodes_rounded_up_is_held_out_and_the_others_stay_in_order() -> None:
    split = split_episodes(episodes(*[None] * 11), fraction=0.1, seed=3)
    assert (len(split.training), len(split.held_out)) == (9, 2)
    training, held_out = ([int(each.source) for each in part] for part in (split.training, split.held_out))
    assert training == sorted(training) and sorted([*training, *held_out]) == list(range(11))


@pytest.mark.parametrize(("number", "fraction"), [(1, 0.5), (11, 0.0)])
def test_neither_the_only_episode_nor_a_fraction_of_0_is_held_out(number: int, fraction: float) -> None:
    split = split_episodes(episodes(*[None] * number), fraction=fraction, seed=3)
    assert (len(split.training), split.held_out) == (number, ())


def test_the_seed_decides_which_episodes_are_held_out() -> None:
    recorded = episodes(*[None] * 11)
    first = [split_episodes(recorded, fraction=0.1, seed=seed).held_out[0].source for seed in range(8)]
    assert len(set(first)) > 2


class Scorer:
    """Stands in for a policy in which token t costs `params` * t nats."""

    def evaluate(self, params: Any, _: Any, tokens: Any, mask: Any, *, temperature: float) -> SimpleNamespace:
        return SimpleNamespace(token_log_probs=jnp.where(mask, -params * temperature * tokens, 0.0))


def test_the_score_of_held_out_chunks(tmp_path: Path) -> None:
    """Tokens 0 + 1 + 2, 3, 6 + 7, 9 + 10 + 11 and 12 are 61 in ten tokens.

    There are batches of two, and the last one is filled up.
    """
    images, state = np.zeros((5, 1, 2, 2, 3), np.uint8), np.zeros((5, 2), np.float32)
    prompt = np.zeros((5, 4), np.int32)
    observation = ModelObservation(images, np.ones((5, 1), bool), prompt, prompt == 0, state)
    mask = np.arange(3) < np.array([3, 1, 2, 3, 1])[:, None]
    batch = CloningBatch(observation, np.arange(15, dtype=np.int32).reshape(5, 3), mask)
    score = make_score(cast(Any, Scorer()), batch, configure(tmp_path, bc_batch_size=2))
    assert [score(params) for params in (1.0, 2.0)] == pytest.approx([6.1, 12.2])
