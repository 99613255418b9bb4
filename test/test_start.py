"""Tests where weights come from: what is read, what is fresh, and what is refused.

It also tests what happens when weights cannot be loaded.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as orbax
import pytest

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.run_start.learner_state import initial_state
from chunk_ppo_ros.agent.run_start.starting_checkpoint import NoCheckpoint, open_start
from chunk_ppo_ros.config import MODELS, TrainConfig
from chunk_ppo_ros.core.errors import CheckpointError, MissingCheckpoint
from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.backbone.lora import is_adapter
from chunk_ppo_ros.model.checkpoints import compatibility
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.metadata import Provenance
from chunk_ppo_ros.model.checkpoints.metadata_file import parse_section
from support.small_policy import (
    MODEL,
    configure,
    make_params,
    make_policy,
    make_tokenizer,
    rewrite_json,
    save_openpi,
    save_own,
)


def sizes(setting: str) -> tuple[str, ...]:
    """Returns the small model's sizes with one of them changed."""
    name, _, _ = setting.partition("=")
    return (*(own for own in MODEL.tower_sizes if not own.startswith(f"{name}=")), setting)


def assert_same(found: Any, expected: Any) -> None:
    assert name_leaves(found).keys() == name_leaves(expected).keys()
    for name, leaf in name_leaves(found).items():
        np.testing.assert_array_equal(leaf, name_leaves(expected)[name], err_msg=name)


@pytest.fixture(scope="module")
def imitation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_openpi(tmp_path_factory.mktemp("imitation") / "checkpoint")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_own(tmp_path_factory.mktemp("other_run") / "run")


def test_an_openpi_checkpoint_gets_the_value_head_of_a_fresh_policy(imitation: Path, tmp_path: Path) -> None:
    config = configure(tmp_path, run={"seed": 3})
    bundle = restore.load(Checkpoint.open(imitation), config)
    assert_same(bundle.params["actor_backbone"], make_params()["actor_backbone"])
    assert_same(bundle.params["value_head"], make_policy(MODEL).init(key=jax.random.key(3))["value_head"])
    assert (bundle.provenance.kind, bundle.provenance.notes) == ("openpi", ("the value head is fresh",))
    assert str(bundle.provenance) == f"openpi checkpoint {imitation}; the value head is fresh"


def test_the_params_folder_stands_for_its_checkpoint(imitation: Path, own: Path, tmp_path: Path) -> None:
    for path in (imitation, own):
        bundle = restore.load(Checkpoint.open(path / "params"), configure(tmp_path))
        assert_same(bundle.params["actor_backbone"], make_params()["actor_backbone"])


def test_an_own_checkpoint_of_another_run_comes_whole(own: Path, tmp_path: Path) -> None:
    bundle = restore.load(Checkpoint.open(own), configure(tmp_path, run={"exp_name": "second"}))
    assert_same(bundle.params, make_params())
    assert bundle.provenance == Provenance("own", str(own))


def test_the_version_of_a_checkpoint_is_that_of_its_run(imitation: Path, own: Path) -> None:
    assert (Checkpoint.open(own).policy_version, Checkpoint.open(imitation).policy_version) == (7, 0)


def test_all_parameters_are_bound_to_their_device(imitation: Path, tmp_path: Path) -> None:
    """All parameters must be bound. Otherwise the update, which returns bound ones, would be compiled a second time."""
    params = restore.load(Checkpoint.open(imitation), configure(tmp_path)).params
    assert all(isinstance(leaf, jax.Array) and leaf.committed for leaf in jax.tree.leaves(params))


def test_trained_openpi_checkpoints_in_bfloat16_become_float32(imitation: Path, tmp_path: Path) -> None:
    """openpi's trainer ends each path in "value"."""
    rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), make_params()["actor_backbone"])
    deeper = {"params": jax.tree.map(lambda leaf: {"value": leaf}, rounded)}
    orbax.PyTreeCheckpointer().save(tmp_path / "trained" / "params", deeper)
    shutil.copytree(imitation / "assets", tmp_path / "trained" / "assets")
    actor = restore.load(Checkpoint.open(tmp_path / "trained"), configure(tmp_path)).params["actor_backbone"]
    assert {leaf.dtype for leaf in jax.tree.leaves(actor)} == {jnp.dtype("float32")}
    assert_same(actor, jax.tree.map(lambda leaf: leaf.astype(np.float32), rounded))


# The tests below check which parameters start fresh, and which are left out.


def test_adapters_start_fresh_on_a_base_checkpoint(imitation: Path, own: Path, tmp_path: Path) -> None:
    config = configure(tmp_path, lora_rank=2)
    assert restore.load(Checkpoint.open(own), config).provenance.notes == ("the adapters are fresh",)
    bundle = restore.load(Checkpoint.open(imitation), config)
    assert bundle.provenance.notes == ("the value head is fresh", "the adapters are fresh")
    leaves = name_leaves(bundle.params["actor_backbone"])
    adapters = {name: leaf for name, leaf in leaves.items() if is_adapter(name)}
    assert len(adapters) == 10  # queries, keys and values, output projection, gates, linear: two factors each
    for name, leaf in adapters.items():  # B is zero at first, A is not
        assert bool(np.any(leaf)) == name.endswith("lora_a")
    assert_same({name: leaves[name] for name in leaves.keys() - adapters}, name_leaves(make_params()["actor_backbone"]))


def test_adapters_are_never_left_out(tmp_path: Path) -> None:
    adapted = dataclasses.replace(MODEL, lora_rank=2)
    for path in (save_own(tmp_path / "own", adapted), save_openpi(tmp_path / "imitation", adapted)):
        with pytest.raises(CheckpointError, match=r"has low-rank adapters, .* got a model without; set it, or merge"):
            restore.load(Checkpoint.open(path), configure(tmp_path))
        with pytest.raises(CheckpointError, match="lora"):  # by name where there is metadata, else by shape
            restore.load(Checkpoint.open(path), configure(tmp_path, lora_rank=4))


def test_a_part_of_the_adapters_is_an_error(imitation: Path, tmp_path: Path) -> None:
    adapted = name_leaves(make_params(dataclasses.replace(MODEL, lora_rank=2))["actor_backbone"])
    missing = "PaliGemma/llm/layers/mlp/linear_lora_b"
    some = {("params", *name.split("/")): leaf for name, leaf in adapted.items() if name != missing}
    orbax.PyTreeCheckpointer().save(tmp_path / "some" / "params", flax.traverse_util.unflatten_dict(some))
    shutil.copytree(imitation / "assets", tmp_path / "some" / "assets")
    with pytest.raises(
        CheckpointError, match=rf"but 1 differ; .*\n  actor_backbone/{missing}: expected .*, found nothing"
    ):
        restore.load(Checkpoint.open(tmp_path / "some"), configure(tmp_path, lora_rank=2))


def test_a_value_head_over_the_chunk_starts_fresh(own: Path, tmp_path: Path) -> None:
    bundle = restore.load(Checkpoint.open(own), configure(tmp_path, chunk_value="attention"))
    assert bundle.provenance.notes == ("the value head over the chunk is fresh",)
    kept = {name: leaf for name, leaf in bundle.params["value_head"].items() if name != "chunk"}
    assert_same(kept, make_params()["value_head"])
    assert "chunk" in bundle.params["value_head"]


def test_a_value_head_over_the_chunk_is_left_out_where_there_is_none(tmp_path: Path) -> None:
    path = save_own(tmp_path / "run", dataclasses.replace(MODEL, chunk_value="pooled"))
    bundle = restore.load(Checkpoint.open(path), configure(tmp_path))
    assert bundle.provenance.notes == ("its value head over the chunk is left out",)
    assert "chunk" not in bundle.params["value_head"]
    with pytest.raises(CheckpointError, match="model.chunk_value: checkpoint 'pooled', configuration 'attention'"):
        restore.load(Checkpoint.open(path), configure(tmp_path, chunk_value="attention"))


@pytest.mark.parametrize("variant", ["gemma_2b", "gemma_2b_lora"])
def test_fresh_parameters_do_not_cost_a_whole_model(variant: str) -> None:
    """The program makes what a base checkpoint of 11.7 GB lacks: the value head (8.4 MB) and adapters (103 MB)."""
    model = MODELS[variant]
    policy = object.__new__(Pi0FASTActorCritic)  # its tokens do not matter here
    object.__setattr__(policy, "config", model)
    names = {
        name
        for name in name_leaves(restore.expected_params(policy))
        if name.startswith("value_head/") or is_adapter(name)
    }
    compiled = jax.jit(lambda key: restore.init_leaves(policy, names, key=key)).lower(jax.random.key(0)).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    assert memory.output_size_in_bytes + memory.temp_size_in_bytes < 0.4e9


# The tests below check what a checkpoint and the settings must have in common.


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"action_horizon": 8}, "model.action_horizon: checkpoint 4, configuration 8"),
        ({"tower_sizes": sizes("gemma.width=32")}, "model.tower_sizes gemma.width: checkpoint 16, configuration 32"),
        ({"tower_sizes": sizes("siglip.depth=2")}, "model.tower_sizes siglip.depth: checkpoint 1, configuration 2"),
        (
            {"cameras": ("left_wrist_0_rgb",)},
            r"cameras: checkpoint \['base_0_rgb'\], configuration \['left_wrist_0_rgb'\]",
        ),
        ({"value_bins": 8}, "model.value_bins: checkpoint 1, configuration 8"),
        ({"max_action_tokens": 40}, "model.max_action_tokens: checkpoint 32, configuration 40"),
    ],
)
def test_other_sizes_are_refused_by_name(own: Path, tmp_path: Path, model: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        restore.load(Checkpoint.open(own), configure(tmp_path, **model))


def check(stored: dict[str, Any], wanted: dict[str, Any], *, resumes: bool = False) -> None:
    old, new = dataclasses.replace(MODEL, **stored), dataclasses.replace(MODEL, **wanted)
    compatibility.check_model_config(Path("step_1"), old, new, resumes=resumes)


def test_settings_that_are_not_of_the_model_may_differ() -> None:
    use = {"temperature": 0.5, "detach_value": False, "dtype": "bfloat16", "constrain_decoding": False}
    check({}, use, resumes=True)
    check({}, {"tower_sizes": sizes("siglip.depth=1")}, resumes=True)  # the variant's own size, by name
    check({}, {"value_max": 3.0, "lora_alpha": 2.0, "max_value_steps": 9}, resumes=True)  # nothing reads them


def test_settings_that_something_reads_must_agree() -> None:
    with pytest.raises(CheckpointError, match="model.value_max: checkpoint 10.0, configuration 3.0"):
        check({"value_bins": 5}, {"value_bins": 5, "value_max": 3.0})
    with pytest.raises(CheckpointError, match="model.lora_alpha: checkpoint 16.0, configuration 8.0"):
        check({"lora_rank": 2}, {"lora_rank": 2, "lora_alpha": 8.0})
    with pytest.raises(CheckpointError, match="model.max_value_steps: checkpoint 32, configuration 16"):
        check({"chunk_value": "pooled"}, {"chunk_value": "pooled", "max_value_steps": 16})


def test_nothing_starts_fresh_in_a_resumed_run() -> None:
    for setting in ({"chunk_value": "pooled"}, {"lora_rank": 2}):
        check({}, setting)
        with pytest.raises(CheckpointError, match=rf"model.{next(iter(setting))}: checkpoint"):
            check({}, setting, resumes=True)
        with pytest.raises(CheckpointError, match=rf"model.{next(iter(setting))}: checkpoint"):
            check(setting, {}, resumes=True)


def test_metadata_of_before_a_setting_means_its_default(tmp_path: Path) -> None:
    later = ("tower_sizes", "lora_", "value_bins", "value_min", "value_max", "chunk_value", "constrain_decoding")
    path = save_own(tmp_path / "run")

    def forget(content: dict[str, Any]) -> None:
        content["model"] = {name: value for name, value in content["model"].items() if not name.startswith(later)}

    rewrite_json(path / "metadata.json", forget)
    stored = Checkpoint.open(path).require_metadata().model
    plain = dataclasses.replace(MODEL, tower_sizes=())
    compatibility.check_model_config(Path("step_1"), stored, plain, resumes=True)
    with pytest.raises(CheckpointError, match=r"model\.chunk_value: checkpoint 'none'"):
        compatibility.check_model_config(
            Path("step_1"), stored, dataclasses.replace(plain, chunk_value="pooled"), resumes=True
        )


OLD_SIZES = {
    "siglip_width": 8,
    "siglip_depth": 0,
    "siglip_mlp_dim": 8,
    "siglip_num_heads": 2,
    "gemma_width": 16,
    "gemma_depth": 1,
    "gemma_mlp_dim": 8,
    "gemma_num_heads": 2,
    "gemma_num_kv_heads": 0,
    "gemma_head_dim": 4,
}
"""Returns the small model's sizes as checkpoints of 0.1.0 store them, with 0 for the variant's."""


@pytest.mark.filterwarnings("error")  # nobody can write new names into a checkpoint
def test_metadata_with_ten_sizes_is_compared_by_what_they_mean(tmp_path: Path) -> None:
    path = save_own(tmp_path / "run")

    def as_before(content: dict[str, Any], **changed: int) -> None:
        content["model"].pop("tower_sizes", None)
        content["model"].update(OLD_SIZES, **changed)

    rewrite_json(path / "metadata.json", as_before)
    compatibility.check_model_config(path, Checkpoint.open(path).require_metadata().model, MODEL, resumes=True)
    rewrite_json(path / "metadata.json", functools.partial(as_before, gemma_depth=3))
    deeper = Checkpoint.open(path).require_metadata().model
    with pytest.raises(CheckpointError, match=r"model.tower_sizes gemma.depth: checkpoint 3, configuration 1"):
        compatibility.check_model_config(path, deeper, MODEL, resumes=True)


@pytest.mark.parametrize("model", [{"action_dim": "14"}, {"shoe_size": 42}, {"action_dim": 1000}, {"cameras": 3}])
def test_a_model_section_that_is_none_is_refused(tmp_path: Path, model: dict[str, Any]) -> None:
    path = save_own(tmp_path / "run")
    rewrite_json(path / "metadata.json", lambda content: content["model"].update(model))
    with pytest.raises(CheckpointError, match=r"the model section of .* cannot be used: .*(action_dim|shoe|cameras)"):
        restore.load(Checkpoint.open(path), configure(tmp_path))


# The tests below check the files of norm_stats and tokenizers.


def test_norm_stats_of_another_robot_are_named(imitation: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(imitation, tmp_path / "one_arm"))
    make_tokenizer(action_dim=7).save(path / "assets" / "trossen")
    with pytest.raises(
        CheckpointError, match=r"must have 14 dimensions \(model.action_dim\), got 7 of the state and 7"
    ):
        restore.load(Checkpoint.open(path), configure(tmp_path))


def test_one_of_several_asset_ids_must_be_named(imitation: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(imitation, tmp_path / "several"))
    make_tokenizer(action_dim=7).save(path / "assets" / "lab" / "one_arm")
    with pytest.raises(
        CheckpointError, match=r"the asset id must be one of those in .*/assets \(lab/one_arm, trossen\), got ''"
    ):
        restore.load(Checkpoint.open(path), configure(tmp_path))
    with pytest.raises(CheckpointError, match="got 'droid'; set run.asset_id"):
        restore.load(Checkpoint.open(path), configure(tmp_path, run={"asset_id": "droid"}))
    bundle = restore.load(Checkpoint.open(path), configure(tmp_path, run={"asset_id": "trossen"}))
    assert bundle.tokenizer.norm_stats.actions.dim == 14


def test_an_asset_id_does_not_disturb_own_checkpoints(own: Path, tmp_path: Path) -> None:
    bundle = restore.load(Checkpoint.open(own), configure(tmp_path, run={"asset_id": "trossen"}))
    assert_same(bundle.params, make_params())
    state = bundle.tokenizer.norm_stats.state
    np.testing.assert_array_equal(state.q99, make_tokenizer().norm_stats.state.q99)


def test_missing_tokenizers_say_where_to_name_them(imitation: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(imitation, tmp_path / "bare"))
    shutil.rmtree(path / "assets" / "trossen" / "fast")
    with pytest.raises(
        CheckpointError, match=r"tokenizers of .*trossen cannot be used: .* name a folder with tokenizers by run.token"
    ):
        restore.load(Checkpoint.open(path), configure(tmp_path))
    restore.load(
        Checkpoint.open(path), configure(tmp_path, run={"tokenizer_dir": str(imitation / "assets" / "trossen")})
    )
    shutil.rmtree(path / "assets")
    with pytest.raises(CheckpointError, match=r"assets must hold norm_stats.json or <asset_id>/norm_stats.json"):
        restore.load(Checkpoint.open(path), configure(tmp_path))


# The tests below check what happens where no checkpoint can be loaded, and what a resumed run accepts.


def failing(tmp_path: Path, imitation: Path, *, simulator: str = "kinematic", **run: Any) -> TrainConfig:
    run = {"pretrained_checkpoint_path": str(tmp_path / "nowhere"), **run}
    config = configure(tmp_path, run={"tokenizer_dir": str(imitation / "assets" / "trossen"), **run})
    return dataclasses.replace(config, env=dataclasses.replace(config.env, simulator=simulator))


def damaged_copy(imitation: Path, folder: Path) -> str:
    """Returns a copy of an imitation whose statistics are cut off."""
    path = Path(shutil.copytree(imitation, folder / "damaged"))
    (path / "assets" / "trossen" / "norm_stats.json").write_text('{"norm_')
    return str(path)


def test_the_simulator_falls_back_aloud_and_says_so_in_the_metadata(
    imitation: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learner = Learner.start(failing(tmp_path, imitation, pretrained_checkpoint_path=damaged_copy(imitation, tmp_path)))
    banner = capsys.readouterr().err
    assert "!! fresh weights, because" in banner and "norm_stats.json cannot be used" in banner
    provenance = learner.checkpoint.require_metadata().provenance
    assert (provenance.kind, provenance.is_fallback) == ("scratch", True)
    assert "norm_stats.json" in provenance.reason


def test_nothing_falls_back_where_it_was_told_to_fail_or_moves_a_robot(imitation: Path, tmp_path: Path) -> None:
    start = {"pretrained_checkpoint_path": damaged_copy(imitation, tmp_path)}
    for config in (
        failing(tmp_path, imitation, on_load_failure="fail", **start),
        failing(tmp_path, imitation, simulator="none", on_load_failure="fallback", **start),
    ):
        with pytest.raises(CheckpointError, match=r"norm_stats.json cannot be used"):
            Learner.start(config)


def test_a_path_that_is_not_there_is_an_error_also_where_a_run_may_fall_back(imitation: Path, tmp_path: Path) -> None:
    for on_load_failure in ("fallback", "fail"):
        with pytest.raises(MissingCheckpoint, match="nowhere must be a folder, got none of that name; check the path"):
            Learner.start(failing(tmp_path, imitation, on_load_failure=on_load_failure))


def test_a_new_run_takes_no_folder_of_another(imitation: Path, tmp_path: Path) -> None:
    config = failing(tmp_path, imitation, pretrained_checkpoint_path=str(imitation))
    Learner.start(config)
    with pytest.raises(CheckpointError, match=r"debug already holds step_0 of an earlier run; go on with --resume, or"):
        Learner.start(config)


def test_fresh_weights_on_a_robot_need_tokenizers(imitation: Path, tmp_path: Path) -> None:
    config = failing(tmp_path, imitation, simulator="none", pretrained_checkpoint_path="")
    assert restore.initial_policy(config, NoCheckpoint()).provenance == Provenance("scratch")
    without = dataclasses.replace(config, run=dataclasses.replace(config.run, tokenizer_dir=""))
    with pytest.raises(CheckpointError, match="fresh weights on a robot need run.tokenizer_dir"):
        restore.initial_policy(without, NoCheckpoint())


def test_a_run_from_fresh_weights_has_no_policy_to_stay_near(imitation: Path, tmp_path: Path) -> None:
    config = failing(tmp_path, imitation, pretrained_checkpoint_path="")
    near = dataclasses.replace(config, ppo=dataclasses.replace(config.ppo, ref_kl_coef=0.1))
    with pytest.raises(CheckpointError, match="ref_kl_coef must be 0 in a run that started from fresh weights"):
        initial_state(near, NoCheckpoint())
    started = dataclasses.replace(near, run=dataclasses.replace(near.run, pretrained_checkpoint_path=str(imitation)))
    state = initial_state(started, open_start(started.run))
    assert state.reference is state.policy.params["actor_backbone"]
    assert initial_state(config, NoCheckpoint()).reference is None


def test_an_own_checkpoint_must_have_checksums(tmp_path: Path) -> None:
    path = save_own(tmp_path / "run")
    rewrite_json(path / "metadata.json", lambda content: content.update(checksums={}))
    with pytest.raises(CheckpointError, match="metadata.json must have checksums of assets/; take another checkpoint"):
        restore.load(Checkpoint.open(path), configure(tmp_path))


def test_a_run_goes_on_from_an_own_checkpoint_alone(imitation: Path, own: Path) -> None:
    assert Checkpoint.open(own).require_metadata().counters.policy_version == 7
    with pytest.raises(CheckpointError, match="a checkpoint of a run to go on from, got openpi's layout"):
        Checkpoint.open(imitation).require_metadata()


def test_a_resume_never_falls_back(imitation: Path, tmp_path: Path) -> None:
    config = failing(tmp_path, imitation, pretrained_checkpoint_path="")
    resumed = dataclasses.replace(config, run=dataclasses.replace(config.run, resume=True))
    with pytest.raises(CheckpointError, match="holds no finished checkpoint to resume from"):
        Learner.start(resumed)
    learner = Learner.start(config)
    metadata = learner.checkpoint.root / "metadata.json"
    metadata.write_text(metadata.read_text().replace("debug", "other"))
    with pytest.raises(CheckpointError, match="metadata.json was changed since it was written"):
        Learner.start(resumed)


def test_a_run_is_resumed_with_another_learning_rate_but_not_with_other_sizes(imitation: Path, tmp_path: Path) -> None:
    config = failing(tmp_path, imitation, pretrained_checkpoint_path=str(imitation))
    first = Learner.start(config)
    config = dataclasses.replace(config, run=dataclasses.replace(config.run, resume=True))
    again = Learner.start(dataclasses.replace(config, ppo=dataclasses.replace(config.ppo, learning_rate=1e-5)))
    assert (again.counters, again.provenance) == (first.counters, first.provenance)
    assert again.provenance.notes == ("the value head is fresh",)
    deeper = dataclasses.replace(config.model, tower_sizes=sizes("gemma.depth=2"))
    with pytest.raises(CheckpointError, match="model.tower_sizes gemma.depth: checkpoint 1, configuration 2"):
        Learner.start(dataclasses.replace(config, model=deeper))


def test_provenance_of_before_the_notes_is_read(own: Path) -> None:
    old = json.loads('{"kind": "own", "path": "x", "is_fallback": false, "reason": ""}')
    assert parse_section(own, "provenance", old, Provenance) == Provenance("own", "x")
    for wrong in ({"kind": 3}, {"kind": "own", "is_fallback": 1}, {}, {"kind": "own", "shoe": 1}):
        with pytest.raises(CheckpointError, match="provenance"):
            parse_section(own, "provenance", wrong, Provenance)
