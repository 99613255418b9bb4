"""Tests how an actor is exported: openpi's layout, the same numbers, merged adapters, and the assets."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as orbax
import pytest

from chunk_ppo_ros import __main__
from chunk_ppo_ros.agent import export as exporting
from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.export import export
from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.model.backbone import lora
from chunk_ppo_ros.model.checkpoints import orbax_trees
from chunk_ppo_ros.model.checkpoints.atomic_folder import unfinished_folder
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from support.small_policy import MODEL, configure, make_params, save_openpi, save_own

ADAPTED = dataclasses.replace(MODEL, lora_rank=2, lora_alpha=6.0)


def restored_as_openpi_does(folder: Path) -> dict[str, Any]:
    """Returns every array below "params", with the dtype that it was stored in."""
    checkpointer = orbax.PyTreeCheckpointer()
    item = {"params": checkpointer.metadata(folder).item_metadata.tree["params"]}
    arguments = jax.tree.map(lambda _: orbax.ArrayRestoreArgs(restore_type=np.ndarray), item)
    tree = checkpointer.restore(folder, args=orbax.args.PyTreeRestore(item=item, restore_args=arguments))
    return name_leaves(tree["params"])


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, leaf in found.items():
        np.testing.assert_array_equal(leaf, expected[name], err_msg=name)


def test_an_exported_actor_starts_the_same_policy(tmp_path: Path) -> None:
    written = export(Checkpoint.open(save_own(tmp_path / "run")), tmp_path / "exported")
    assert sorted(path.name for path in written.iterdir()) == ["assets", "checksums.json", "params", "settings.json"]
    actor = name_leaves(make_params()["actor_backbone"])
    assert_same(restored_as_openpi_does(written / "params"), actor)
    bundle = restore.load(Checkpoint.open(written), configure(tmp_path))
    assert bundle.provenance.kind == "openpi"
    assert_same(name_leaves(bundle.params["actor_backbone"]), actor)
    stored = json.loads((written / "assets" / "trossen" / "norm_stats.json").read_text())
    assert stored["norm_stats"].keys() == {"state", "actions"}
    assert stored["norm_stats"]["actions"].keys() == {"mean", "std", "q01", "q99"}


def test_an_export_in_bfloat16_is_rounded_once(tmp_path: Path) -> None:
    written = export(
        Checkpoint.open(save_own(tmp_path / "run")), tmp_path / "exported", dtype="bfloat16", asset_id="lab/robot"
    )
    found = restored_as_openpi_does(written / "params")
    actor = name_leaves(make_params()["actor_backbone"])
    assert_same(found, {name: leaf.astype(jnp.bfloat16) for name, leaf in actor.items()})
    assert (written / "assets" / "lab" / "robot" / "prompt.model").is_file()
    again = export(Checkpoint.open(written), tmp_path / "again")  # openpi to openpi: another dtype and asset id
    assert {leaf.dtype for leaf in restored_as_openpi_does(again / "params").values()} == {np.dtype("float32")}
    assert (again / "assets" / "trossen" / "norm_stats.json").is_file()


def test_adapters_are_merged_by_the_checkpoints_own_scale_or_kept(tmp_path: Path) -> None:
    own = save_own(tmp_path / "run", ADAPTED)
    kept = restored_as_openpi_does(export(Checkpoint.open(own), tmp_path / "kept", keep_adapters=True) / "params")
    assert_same(kept, name_leaves(make_params(ADAPTED)["actor_backbone"]))
    merged = restored_as_openpi_does(export(Checkpoint.open(own), tmp_path / "merged") / "params")
    said = {name: Checkpoint.open(tmp_path / name).settings.values for name in ("kept", "merged")}
    assert (said["kept"]["model.lora_rank"], said["merged"]["model.lora_rank"]) == (2, 0)
    assert said["merged"] == {**said["kept"], "model.lora_rank": 0}  # All else stays, the variant as well.
    assert merged.keys() == name_leaves(make_params()["actor_backbone"]).keys()
    # One entry is computed by hand: block 0, query head 0, input 0, output 0. The factor alpha / rank is 6 / 2.
    a, b = (kept[f"PaliGemma/llm/layers/attn/q_einsum/lora_{factor}"][0, 0] for factor in "ab")
    name = "PaliGemma/llm/layers/attn/q_einsum/w"
    expected = kept[name][0, 0, 0, 0] + 3 * (a[0, 0] * b[0, 0] + a[0, 1] * b[1, 0])
    np.testing.assert_allclose(merged[name][0, 0, 0, 0], expected, rtol=1e-6)


def test_adapters_of_an_openpi_checkpoint_have_openpis_scale(tmp_path: Path) -> None:
    adapted = dataclasses.replace(MODEL, lora_rank=2)
    written = export(Checkpoint.open(save_openpi(tmp_path / "openpi", adapted)), tmp_path / "exported")
    expected = lora.merge_adapters(make_params(adapted)["actor_backbone"], Pi0FASTActorCriticConfig(lora_rank=2))
    assert_same(restored_as_openpi_does(written / "params"), name_leaves(expected))


def test_what_cannot_be_exported_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = save_own(tmp_path / "run")
    (tmp_path / "taken").mkdir()
    for arguments, message in (
        ([str(tmp_path / "nowhere"), str(tmp_path / "new")], "nowhere must be a folder"),
        ([str(own), str(tmp_path / "taken")], "taken must not exist yet"),
        ([str(own), str(tmp_path / "new"), "--asset_id", "../lab"], "must be the name of a folder below assets"),
    ):
        assert __main__.main(["export", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert __main__.main(["export", str(own), str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out.endswith(f"\nwrote {tmp_path / 'new'}\n")


def test_damaged_norm_stats_are_not_exported(tmp_path: Path) -> None:
    path = save_openpi(tmp_path / "openpi")
    (path / "assets" / "trossen" / "norm_stats.json").write_text('{"norm_stats": [1]}')
    with pytest.raises(
        CheckpointError, match=r"norm_stats.json cannot be used: .*; compute them from episodes by norm-stats"
    ):
        export(Checkpoint.open(path), tmp_path / "new")


def test_an_export_tells_how_much_is_read_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    own = Checkpoint.open(save_own(tmp_path / "run"))
    written = []

    def slow(*arguments: Any, **more: Any) -> Path:
        folder = unfinished_folder(arguments[0])
        folder.mkdir()
        (folder / "array").write_bytes(bytes(1000))
        while told[-1][0] != to_read + 1000:
            pass
        written.append(folder)
        return folder

    monkeypatch.setattr(exporting, "save_openpi_checkpoint", slow)
    monkeypatch.setattr(exporting, "WATCH_PERIOD", 0.001)
    to_read = sum(leaf.size * 4 for leaf in name_leaves(make_params()["actor_backbone"]).values())
    export(own, tmp_path / "exported", dtype="bfloat16", progress=lambda done, total: told.append((done, total)))
    assert {total for _, total in told} == {to_read * 3 // 2}  # It is written with half of the bytes.
    assert told[0][0] == to_read and written


def test_arrays_are_read_in_groups_where_somebody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orbax_trees, "MIN_READ_BYTES", 1000)
    told: list[int] = []
    actor = make_params()["actor_backbone"]
    loaded = Checkpoint.open(save_own(tmp_path / "run")).load_actor(actor, on_read=told.append)
    assert_same(name_leaves(loaded), name_leaves(actor))
    assert sum(told) == sum(leaf.nbytes for leaf in name_leaves(actor).values())
    assert len(told) > 3 and min(told[:-1]) >= 1000
