"""Tests that `pretrain` and the command `measure-imitation` measure held-out episodes, and which ones."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.core.errors import CheckpointError, EpisodesError
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.imitation import behavior_cloning
from chunk_ppo_ros.imitation.clone_recorded import clone_episodes
from chunk_ppo_ros.imitation.measuring import command
from chunk_ppo_ros.imitation.measuring.chosen_episodes import choose_episodes, imitated_by, limit_starts
from chunk_ppo_ros.imitation.measuring.imitated_data import EpisodeMark, ImitatedData
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.metadata import Provenance
from support import small_policy
from support.recordings import IMPLAUSIBLE, write_hdf5

STEPS = 12


@dataclasses.dataclass(frozen=True)
class Imitation:
    """An imitation of recorded episodes: their folder, its checkpoint, and what `pretrain` printed."""

    recorded: Path
    checkpoint: Path
    printed: str

    def flags(self, *more: str) -> list[str]:
        """Returns the arguments of the command."""
        return ["measure-imitation", str(self.checkpoint), "--episodes", *more, "--chunk_stride", "2"]


@pytest.fixture(scope="module")
def imitation(tmp_path_factory: pytest.TempPathFactory) -> Imitation:
    """Imitates five episodes, of which two are held out, without a gradient step."""
    folder, random = tmp_path_factory.mktemp("imitation"), np.random.default_rng(0)
    (folder / "cup").mkdir()
    for number in range(5):
        images = random.integers(0, 256, (STEPS, 24, 32, 3), dtype=np.uint8)
        write_hdf5(folder / "cup" / f"episode_{number}.hdf5", STEPS, first=number / 10, images=images)
    sizes = {"max_token_len": 100, "max_action_tokens": 70}
    config = small_policy.configure(folder, run={"prompt": "stack"}, **sizes)
    settings = {"bc_steps": 3, "bc_batch_size": 4, "chunk_stride": 2, "validation_fraction": 0.4}
    config = dataclasses.replace(
        config,
        pretrain=dataclasses.replace(config.pretrain, **settings),
        recordings=dataclasses.replace(config.recordings, insist=(*IMPLAUSIBLE, "clipped_actions")),
    )
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.setattr(behavior_cloning, "clone", lambda policy, params, batch, config, *, on_step: params)
        checkpoint = clone_episodes([folder / "cup"], config, folder / "checkpoints" / "one")
    return Imitation(folder / "cup", checkpoint, printed.getvalue())


def test_pretrain_measures_the_held_out_episodes(imitation: Imitation) -> None:
    content = json.loads(imitation.checkpoint.with_name("one.json").read_text())
    data = ImitatedData.load(imitation.checkpoint / "assets")
    assert data is not None and len(data.trained_on) == 3
    assert content["episodes"] == [mark.name for mark in data.held_out] and len(data.held_out) == 2
    assert not {mark.crc for mark in data.trained_on} & {mark.crc for mark in data.held_out}
    # An action is its state + 1, and each number rises by 0.14 a step.
    np.testing.assert_allclose(data.mean_chunk[0], np.ones(14), atol=1e-5)
    assert data.mean_chunk[1, 0] == pytest.approx(1.14, abs=1e-5)
    assert data.mean_chunk[3, 0] == pytest.approx(1.42 - 2 * 0.14 / 6, abs=1e-5)  # The last of six repeats an action.
    # Each has chunks at the steps 0, 2 .. 10.
    assert content["num_chunks"] == 12
    first = f"12 chunks of 2 episodes ({', '.join(content['episodes'])}); they were held out, and the policy was not"
    assert first in imitation.printed and content["verdict"] in imitation.printed
    # The loss on held-out chunks that pretrain has always printed is the same number.
    assert f", {content['likelihood']['nats_per_token']:.3f} after\n" in imitation.printed


def test_the_command_measures_the_same_episodes_wherever_they_are(
    imitation: Imitation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Episodes that were moved are recognized by their content."""
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in imitation.recorded.iterdir():
        (moved / f"take_{file.name}").write_bytes(file.read_bytes())
    assert main([*imitation.flags(str(moved)), "--json", str(tmp_path / "figures.json")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"the model is that of {imitation.checkpoint}; ")
    assert "simulator" not in printed
    assert "they are 2 of the 2 that its imitation held out" in printed and "imitated the same data (" in printed
    found = json.loads((tmp_path / "figures.json").read_text())
    pretrained = json.loads(imitation.checkpoint.with_name("one.json").read_text())
    assert found["likelihood"]["nats_per_token"] == pytest.approx(pretrained["likelihood"]["nats_per_token"], rel=1e-4)
    assert [one["rmse"] for one in found["joints"]] == pytest.approx([one["rmse"] for one in pretrained["joints"]])
    assert [one["mean_chunk"] for one in found["joints"]] == pytest.approx(
        [one["mean_chunk"] for one in pretrained["joints"]]
    )


def test_the_number_of_chunks_is_bounded_and_episodes_are_named(
    imitation: Imitation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(command, "measure", lambda bundle, chunks, **names: given.append((chunks, names)) or "figures")
    monkeypatch.setattr(command, "to_table", str)
    data = ImitatedData.load(imitation.checkpoint / "assets")
    assert data is not None
    name = "/".join(Path(data.trained_on[0].name).parts[-2:])
    assert main([*imitation.flags(str(imitation.recorded)), "--held_out", name, "--measured_chunks", "3"]) == 0
    assert capsys.readouterr().out.endswith("figures\n")
    ((chunks, names),) = given
    # The chunks of 12 steps start at 0, 2 .. 10, and the first, the third (of 0 .. 5: 2.5 to even) and the last remain.
    assert chunks.starts == tuple(f"{data.trained_on[0].name}, step {step}" for step in (0, 4, 10))
    assert chunks.episodes == (data.trained_on[0].name,) and len(chunks.batch) == 3
    assert names["trained_on"].startswith("the policy was trained on 1 of them, so ")
    assert main([*imitation.flags(str(imitation.recorded)), "--arm_order", "right_first"]) == 2
    assert "imitated recordings that were read otherwise: recordings.arm_order: " in capsys.readouterr().err
    assert main([*imitation.flags(str(imitation.recorded)), "--held_out", "cup/episode_9.hdf5"]) == 2
    assert "--held_out must name episodes of --episodes, got cup/episode_9.hdf5" in capsys.readouterr().err


def episode(number: int, *, source: str = "", steps: int = STEPS, **more: Any) -> Episode:
    values = np.full((steps, 2), number, np.float32)
    return Episode(source or f"cup/episode_{number}.hdf5", values, values, 50.0, prompt="stack", **more)


def data_of(*, trained_on: list[Episode], held_out: list[Episode]) -> ImitatedData:
    marks = (tuple(map(EpisodeMark.of, part)) for part in (trained_on, held_out))
    return ImitatedData(*marks, np.zeros(5, np.int64), np.zeros((4, 2)))


def test_which_episodes_are_measured() -> None:
    data = data_of(trained_on=[episode(0), episode(1)], held_out=[episode(2), episode(3)])
    several = [episode(0), episode(3), episode(4)]
    chosen = choose_episodes(several, data)
    assert chosen.episodes == (several[1],) and chosen.trained_on == "they are 1 of the 2 that its imitation held out"
    old = choose_episodes([episode(0), episode(1), episode(4)], data)
    assert len(old.episodes) == 3 and old.trained_on.startswith("the policy was trained on 2 of them, so the figures")
    new = choose_episodes([episode(4), episode(5)], data)
    assert len(new.episodes) == 2 and new.trained_on == "the policy was not trained on them"
    foreign = choose_episodes(several, None)
    assert foreign.episodes == tuple(several) and "so it may have been trained on them" in foreign.trained_on
    # An episode that is read otherwise, for example with another unit, still has its name.
    changed = dataclasses.replace(episode(2), states=np.ones((STEPS, 2), np.float32))
    assert choose_episodes([episode(0), changed], data).episodes == (changed,)
    with pytest.raises(EpisodesError, match=r"got episode_7.hdf5, which none of 1 ends in \(cup/episode_0.hdf5 \.\.\)"):
        choose_episodes([episode(0)], data, names=["episode_7.hdf5"])


def test_only_the_images_of_chosen_starts_are_read() -> None:
    """Of 12, 3 and 6 steps at a stride of 3 there are 4, 1 and 2 starts.

    The first, the middle and the last of these 7 are chosen.
    """
    limited = limit_starts([episode(0), episode(1, steps=3), episode(2, steps=6)], stride=3, most=3)
    assert [(one.source, one.image_steps.tolist()) for one in limited if one.image_steps is not None] == [
        ("cup/episode_0.hdf5", [0, 9]),
        ("cup/episode_2.hdf5", [3]),
    ]
    whole = limit_starts([episode(0, image_steps=np.array([1, 2, 7]))], stride=3, most=10)
    assert whole[0].image_steps is not None and whole[0].image_steps.tolist() == [1, 7]


def test_a_run_knows_the_episodes_of_the_imitation_that_it_began_with(tmp_path: Path) -> None:
    imitation_folder = small_policy.save_openpi(tmp_path / "imitation")
    data_of(trained_on=[episode(0)], held_out=[episode(1)]).save(imitation_folder / "assets")
    step = Checkpoint.open(small_policy.save_own(tmp_path / "run"))
    assert step.metadata is not None and imitated_by(step) is None
    origin = Provenance("openpi", str(imitation_folder))
    begun = dataclasses.replace(step, metadata=dataclasses.replace(step.metadata, provenance=origin))
    found = imitated_by(begun)
    assert found is not None and found.held_out == (EpisodeMark.of(episode(1)),)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    data_of(trained_on=[], held_out=[]).save(tmp_path)
    assert ImitatedData.load(tmp_path / "nowhere") is None
    for text in ('{"format_version": 2}', "[]", "{", '{"format_version": 1, "trained_on": [{"name": "a"}]}'):
        (tmp_path / "imitation.json").write_text(text)
        with pytest.raises(CheckpointError, match="imitation.json cannot be read: .*remove the file to measure"):
            ImitatedData.load(tmp_path)


def test_an_imitation_by_another_tokenizer_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"of 95 FAST tokens .* \(4, 14\) .*, got 4 and \(4, 2\) in its "):
        data_of(trained_on=[], held_out=[]).check_fits(small_policy.make_tokenizer())
