"""Tests damaged checkpoints. Each loads the same numbers, or a CheckpointError says what is wrong."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as orbax
import pytest

from chunk_ppo_ros import __main__
from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.model.checkpoints import orbax_trees
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.saving import save_openpi_checkpoint
from chunk_ppo_ros.model.checkpoints.step_folders import newest_checkpoint
from support.damage import Damage, damaged, empty, flip, truncate
from support.small_policy import configure, make_params, make_policy, save_openpi


def replace_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES: tuple[Damage, ...] = (truncate, empty, flip, Path.unlink, replace_by_folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with an imitation, and with version 0 of a run that started from it."""
    folder = tmp_path_factory.mktemp("sound")
    imitation = save_openpi(folder / "imitation")
    Learner.start(configure(folder, run={"pretrained_checkpoint_path": str(imitation)}))
    return folder


def files_of(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def numbers_or_error(load: Callable[[], Any], expected: dict[str, Any], case: str) -> bool:
    """Returns whether loading was an error. Fails where loading gives other numbers or raises another error."""
    try:
        found = name_leaves(load())
    except CheckpointError:
        return True
    assert found.keys() == expected.keys(), case
    for name, leaf in found.items():
        np.testing.assert_array_equal(leaf, expected[name], err_msg=f"{case}: {name}")
    return False


def test_every_damaged_file_of_an_own_checkpoint_is_noticed(run: Path) -> None:
    """All files have checksums, and metadata.json has its own, so that no damage passes.

    The folder is opened once, before the damage, because opening reads metadata.json alone.
    """
    path = run / "checkpoints" / "debug" / "step_0"
    opened = Checkpoint.open(path)
    params = restore.expected_params(make_policy(configure(run).model))
    state = orbax_trees.stored_shapes(path / "train_state")
    readers: dict[str, Callable[[], object]] = {
        "params": lambda: opened.load_leaves(params),
        "metadata.json": lambda: Checkpoint.open(path),
        "train_state": lambda: opened.load_train_state(state),
        "assets": lambda: opened.check_assets(),
        "consumed.json": lambda: opened.load_consumed(),
    }
    passed = []
    for file in files_of(path):
        for damage in DAMAGES:
            with damaged(file, damage):
                try:
                    readers[file.relative_to(path).parts[0]]()
                except CheckpointError:
                    continue
                passed.append(f"{damage.__name__} {file.relative_to(path)}")
    assert passed == []
    for read in readers.values():
        read()


@pytest.mark.parametrize("name", ["train_state/manifest.ocdbt", "assets/prompt.model", "metadata.json"])
def test_a_damaged_run_is_not_resumed(run: Path, name: str) -> None:
    with damaged(run / "checkpoints" / "debug" / "step_0" / name, flip), pytest.raises(CheckpointError):
        Learner.start(configure(run, run={"resume": True}))


def test_every_damaged_file_of_our_openpi_checkpoint_is_noticed_or_does_not_matter(run: Path) -> None:
    path, policy = run / "imitation", make_policy(configure(run).model)
    expected = restore.expected_params(policy)["actor_backbone"]
    actor = name_leaves(make_params()["actor_backbone"])
    for file in [*files_of(path / "params"), path / "checksums.json"]:
        for damage in DAMAGES:
            case = f"{damage.__name__} {file.relative_to(path)}"
            with damaged(file, damage):
                numbers_or_error(lambda: Checkpoint.open(path).load_actor(expected), actor, case)


def test_damaged_files_of_a_published_checkpoint_are_errors(tmp_path: Path) -> None:
    """Without checksums a changed number cannot be told from another one.

    Orbax can notice some damage, which is an error. The arrays are few, because they are read one by one where there
    are no checksums. The files are those of any tree.
    """
    random = np.random.default_rng(0)
    actor = {"PaliGemma": {name: random.normal(size=(64, 64)).astype(np.float32) for name in ("img", "llm")}}
    path = save_openpi_checkpoint(tmp_path / "published", actor, write_assets=lambda assets: None)
    (path / "checksums.json").unlink()
    refused: dict[str, int] = {}
    for file in files_of(path / "params"):
        name = file.relative_to(path / "params").as_posix()
        for damage in (truncate, empty, Path.unlink, replace_by_folder):
            with damaged(file, damage):
                is_error = numbers_or_error(
                    lambda: Checkpoint.open(path).load_actor(actor), name_leaves(actor), f"{damage.__name__} {name}"
                )
            refused[name] = refused.get(name, 0) + is_error
    assert set(refused.values()) == {0, 4}  # A file is needed, or it does not matter.
    needed = {name.split("/")[0] for name, count in refused.items() if count}
    assert needed == {"_METADATA", "manifest.ocdbt", "d", "ocdbt.process_0"}  # The numbers are in the last one.


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_assets_are_errors_or_do_not_matter(run: Path, damage: Damage) -> None:
    """A flipped bit of norm_stats or of a tokenizer without checksums may give other numbers, but no traceback."""
    refused = set()
    for file in files_of(run / "imitation" / "assets"):
        with damaged(file, damage):
            try:
                restore.load_tokenizer(run / "imitation" / "assets", configure(run))
            except CheckpointError:
                refused.add(file.name)
    # tokenizer_config.json is for other programs.
    read = {"norm_stats.json", "prompt.model", "processor_config.json", "tokenizer.json"}
    assert refused <= read if damage is flip else refused == read


WRONG = ([], "text", 3, None, {}, {"a": {"b": []}}, [[1]], True)


@pytest.mark.parametrize("section", ["", "model", "counters", "provenance", "checksums", "frozen", "format_version"])
def test_wrong_json_in_metadata_is_an_error(run: Path, section: str) -> None:
    path = run / "checkpoints" / "debug" / "step_0"
    sound = json.loads((path / "metadata.json").read_text())
    del sound["checksum"]  # as in the first checkpoints, so that nothing but the types is wrong
    for wrong in WRONG:
        text = json.dumps({**sound, section: wrong} if section else wrong)
        if section == "frozen" and isinstance(wrong, dict):
            continue  # nothing is said to be frozen, as it was
        write = functools.partial(Path.write_text, data=text)
        with damaged(path / "metadata.json", write), pytest.raises(CheckpointError):
            Learner.start(configure(run, run={"resume": True}))


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_wrong_json_in_norm_stats_is_an_error(run: Path, wrong: Any) -> None:
    file = run / "imitation" / "assets" / "trossen" / "norm_stats.json"
    sound = json.loads(file.read_text())["norm_stats"]
    for content in (wrong, {"norm_stats": wrong}, {"norm_stats": {**sound, "state": wrong}}):
        write, message = functools.partial(Path.write_text, data=json.dumps(content)), r"norm_stats.json (cannot|must)"
        with damaged(file, write), pytest.raises(CheckpointError, match=message):
            restore.load(Checkpoint.open(run / "imitation"), configure(run))


def make_foreign(folder: Path) -> dict[str, Path]:
    """Makes folders that are no checkpoints of this package, and a file."""
    (folder / "empty").mkdir()
    (folder / "torch").mkdir()
    (folder / "torch" / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    (folder / "torch" / "config.json").write_text("{}")
    (folder / "file").write_text("not a folder")
    (folder / "bare" / "params").mkdir(parents=True)
    orbax.PyTreeCheckpointer().save(folder / "flax" / "params", {"params": {"Dense_0": {"kernel": np.ones(2)}}})
    orbax.PyTreeCheckpointer().save(folder / "list" / "params", [np.ones(2)])
    return {name: folder / name for name in ("empty", "torch", "file", "bare", "flax", "list", "nowhere")}


def test_foreign_folders_are_one_line_and_status_2(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, path in make_foreign(tmp_path).items():
        with pytest.raises(CheckpointError):
            restore.load(Checkpoint.open(path), configure(run))
        assert __main__.main(["export", str(path), str(tmp_path / "new")]) == 2
        error = capfd.readouterr().err
        assert error.startswith("chunk_ppo export: ") and error.count("\n") == 1, (name, error)
        assert "Traceback" not in error


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Runs the block as a user whom file permissions hold, where the tests run as root."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize("part", [".", "params", "assets", "metadata.json", "params/manifest.ocdbt"])
def test_unreadable_checkpoints_are_errors(run: Path, part: str) -> None:
    with tempfile.TemporaryDirectory() as folder:  # not below pytest's own, which nobody else may enter
        path = Path(shutil.copytree(run / "checkpoints" / "debug" / "step_0", Path(folder) / "run" / "step_0"))
        for entry in (Path(folder), path.parent, path, *path.rglob("*")):
            entry.chmod(0o755)
        config = configure(run)
        (path / part).chmod(0)
        try:
            with without_privileges(), pytest.raises(CheckpointError):
                restore.load(Checkpoint.open(path), config)
            with without_privileges(), contextlib.suppress(CheckpointError):
                newest_checkpoint(path)
        finally:
            (path / part).chmod(0o755)
