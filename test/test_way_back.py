"""Tests that a run whose newest checkpoint is damaged is not resumed, and that the error names what takes it back."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chunk_ppo_ros import __main__
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.run_start.graph_settings import with_checkpoint
from chunk_ppo_ros.agent.run_start.learner_state import initial_state
from chunk_ppo_ros.agent.run_start.starting_checkpoint import open_start
from chunk_ppo_ros.agent.run_start.whole_checkpoints import rollback_command
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.flags import command_line
from chunk_ppo_ros.core.errors import CheckpointError, ContradictedCheckpoint
from support import small_policy
from support.damage import Damage, damaged, flip, truncate


def configure(folder: Path, **changes: object) -> TrainConfig:
    return small_policy.configure(folder, run={"resume": True, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a run that has three checkpoints."""
    folder = tmp_path_factory.mktemp("trained")
    imitation = small_policy.save_openpi(folder / "imitation")
    new = configure(folder, resume=False, pretrained_checkpoint_path=str(imitation))
    new.run.folder.mkdir(parents=True)
    Learner.start(new)
    config = configure(folder)
    state = initial_state(config, open_start(config.run))
    for version in (1, 2):  # Their weights are the first ones, which does not matter here.
        counters = dataclasses.replace(state.counters, policy_version=version)
        Learner(config, dataclasses.replace(state, counters=counters)).save()
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """Returns a copy of the folder that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def newest(folder: Path) -> Path:
    return configure(folder).run.checkpoint_folder / "step_2"


def files_of(folder: Path) -> list[str]:
    """Returns one file of each kind: the largest of each folder of arrays, an asset, and the files beside them."""
    files = {part.name: [file for file in part.rglob("*") if file.is_file()] or [part] for part in folder.iterdir()}
    largest = [max(some, key=lambda file: file.stat().st_size) for some in files.values()]
    assert files.keys() == {"params", "train_state", "assets", "consumed.json", "metadata.json"}
    return [str(file.relative_to(folder)) for file in largest]


def call(command: str) -> int:
    """Runs a command of the package as a shell does, and returns its status."""
    words = shlex.split(command)
    return __main__.main(words[words.index("rollback") :])


def refused(load: Callable[[], object]) -> str:
    """Returns the text of the error that a start is refused with."""
    with pytest.raises(CheckpointError) as error:
        load()
    return str(error.value)


@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink])
def test_each_kind_of_damaged_file_of_the_newest_checkpoint_is_named_with_the_way_back(
    trained: Path, damage: Damage
) -> None:
    config = configure(trained)
    for name in files_of(newest(trained)):
        file = newest(trained) / name
        with damaged(file, damage):
            text = refused(lambda: Learner.start(config))
        assert str(file) in text or "step_2/params" in text, (name, text)
        assert text.endswith(f"`{rollback_command(config.run, 'step_1')}`") and "\n" not in text
    assert Learner.start(config).policy_version == 2


def test_the_named_command_takes_the_run_back_and_it_goes_on(copy: Path) -> None:
    flip(newest(copy) / "consumed.json")
    text = refused(lambda: Learner.start(configure(copy)))
    (command,) = re.findall("`(.*)`", text)
    assert command.startswith(command_line("rollback"))
    assert call(command) == 0
    assert Learner.start(configure(copy)).policy_version == 1
    assert (newest(copy).parent / "undone" / "step_2").is_dir()


def test_a_newest_checkpoint_without_metadata_is_not_passed_over(copy: Path) -> None:
    """A finished folder has the file, so that somebody has removed it."""
    (newest(copy) / "metadata.json").unlink()
    text = refused(lambda: Learner.start(configure(copy)))
    assert "step_2/metadata.json cannot be read" in text and "--to step_1" in text
    call(re.findall("`(.*)`", text)[0])
    assert Learner.start(configure(copy)).policy_version == 1


def test_the_newest_one_that_is_whole_is_named(copy: Path) -> None:
    for step in ("step_2", "step_1"):
        flip(newest(copy).with_name(step) / "assets" / "prompt.model")
    assert "; step_0 is whole, and" in refused(lambda: Learner.start(configure(copy)))
    flip(newest(copy).with_name("step_0") / "metadata.json")
    text = refused(lambda: Learner.start(configure(copy)))
    assert "no other checkpoint of the run is whole" in text and "rollback" not in text


def test_a_graph_is_refused_before_a_node_is_started(copy: Path) -> None:
    flip(newest(copy) / "assets" / "prompt.model")
    text = refused(lambda: with_checkpoint(configure(copy), given=()))
    assert "step_2/assets/prompt.model was changed" in text and "--to step_1" in text


def test_checkpoints_at_another_place_are_named_in_the_command(copy: Path) -> None:
    config = configure(copy, checkpoint_dir="other place")
    newest(copy).parent.rename(config.run.checkpoint_folder)
    flip(config.run.checkpoint_folder / "step_2" / "metadata.json")
    (command,) = re.findall("`(.*)`", refused(lambda: Learner.start(config)))
    assert command.endswith(f"--checkpoints '{config.run.checkpoint_folder}'")
    assert call(command) == 0
    assert Learner.start(config).policy_version == 1


def test_a_setting_that_does_not_fit_names_no_way_back(trained: Path) -> None:
    config = configure(trained)
    other = dataclasses.replace(config, model=dataclasses.replace(config.model, action_horizon=5))
    with pytest.raises(ContradictedCheckpoint) as error:
        Learner.start(other)
    assert "rollback" not in str(error.value)
