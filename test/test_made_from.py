"""Tests what a checkpoint says about what it was made from, and that episodes of another meaning are refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.agent.export import export
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.run_start.checkpoint_settings import (
    config_for_measuring,
    setup_for_imitation,
    setup_for_training,
)
from chunk_ppo_ros.config import PRESETS, EpisodeConfig, TrainConfig, flags
from chunk_ppo_ros.config.entries.cameras import ROBOT_CAMERAS
from chunk_ppo_ros.core.errors import CheckpointError, ContradictedCheckpoint
from chunk_ppo_ros.core.made_from.data_record import BY_NAMES, RECORDINGS, DataRecord
from chunk_ppo_ros.core.made_from.history import NO_HISTORY, History, Stage
from chunk_ppo_ros.data.episode import Episode, RecordingFacts
from chunk_ppo_ros.data.fingerprint import Fingerprint, record_of
from chunk_ppo_ros.evaluation.positions import recorded_chunks_of
from chunk_ppo_ros.imitation import behavior_cloning
from chunk_ppo_ros.imitation.clone_recorded import clone_episodes
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.data_contradictions import check_data
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings
from chunk_ppo_ros.model.checkpoints.saving import save_openpi_checkpoint
from support import small_policy
from support.recordings import IMPLAUSIBLE, write_hdf5
from support.small_policy import make_params, make_tokenizer, rewrite_json, save_openpi, save_own

STEPS = 8


def episode(number: int = 0, **changes: Any) -> Episode:
    random = np.random.default_rng(number)
    values = {"states": random.normal(size=(5, 14)), "actions": random.normal(size=(5, 14))}
    arrays = {name: array.astype(np.float32) for name, array in values.items()}
    return Episode(
        **{"source": f"{number}.hdf5", **arrays, "rate": 50.0, "prompt": "stack", "success": True, **changes}
    )


def fingerprint(*episodes: Episode) -> str:
    return record_of(episodes, ["cup"], TrainConfig()).fingerprint


# The tests below check the fingerprint of data.


def test_the_fingerprint_does_not_depend_on_the_order_or_the_names_of_episodes() -> None:
    first, second = episode(0), episode(1)
    assert fingerprint(first, second) == fingerprint(second, dataclasses.replace(first, source="elsewhere"))
    assert len(fingerprint(first)) == 64
    assert fingerprint(first) != fingerprint(second)


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "stac"},
        {"success": None},
        {"success": False},
        {"rate": 25.0},
        {"states": np.zeros((5, 14), np.float32)},
        {"actions": np.zeros((5, 14), np.float32)},
    ],
)
def test_whatever_was_learned_changes_the_fingerprint(changes: dict[str, Any]) -> None:
    assert fingerprint(episode(0)) != fingerprint(episode(0, **changes))


def test_an_episode_that_is_there_twice_counts_twice_and_none_is_a_fingerprint_too() -> None:
    one, other = episode(0), episode(1)
    prints = {fingerprint(one), fingerprint(one, one), fingerprint(one, other, other), fingerprint(one, other)}
    assert len({*prints, Fingerprint().hexdigest()}) == 5


def test_one_swapped_bit_or_swapped_arms_change_the_fingerprint() -> None:
    one = episode(0)
    bits = one.states.copy()
    bits.view(np.uint32)[3, 5] ^= 1
    swapped = np.roll(one.states, 7, axis=1)
    assert (
        len({fingerprint(one)} | {fingerprint(dataclasses.replace(one, states=each)) for each in (bits, swapped)}) == 3
    )


def test_a_record_says_what_was_read_and_how() -> None:
    config = TrainConfig()
    recordings = dataclasses.replace(config.recordings, arm_order="right_first", channel_order="bgr", joint_unit="deg")
    robot = dataclasses.replace(config.robot, gripper_convention="interbotix", gripper_numbers=("motor_open=1.2",))
    config = dataclasses.replace(config, recordings=recordings, robot=robot)
    record = record_of([episode(0), episode(1, prompt="fold")], [Path("a"), Path("b")], config)
    assert (record.kind, record.origin, record.episode_count, record.step_count) == (RECORDINGS, "a, b", 2, 10)
    assert (record.rate, record.prompts) == (50.0, ("fold", "stack"))
    assert (record.arm_order, record.channel_order) == ("right_first", "bgr")
    assert "joint_unit deg" in record.units
    assert record.gripper_convention == "interbotix motor_open=1.2"
    named = episode(0, facts=RecordingFacts(state_names=("left waist",)))
    assert record_of([named], ["a"], config).arm_order == BY_NAMES
    assert record_of([named, episode(1)], ["a"], config).arm_order == "right_first"


# The tests below check the history that is stored in a checkpoint and carried on.


def record(**changes: Any) -> DataRecord:
    base = record_of([episode(0)], ["cup"], TrainConfig())
    return dataclasses.replace(base, **changes)


def with_data(data: Any) -> dict[str, Any]:
    """Returns a section made_from of one stage."""
    return {"stages": [{"kind": "imitation", "text": "b", "checkpoint": "", "data": data}]}


def test_a_history_is_read_as_it_was_written() -> None:
    history = History((Stage("fresh", "fresh weights"), Stage("imitation", "x", "/a", record(prompts=("ä", "b")))))
    assert History.of_json(json.loads(json.dumps(history.to_json()))) == history
    assert History.of_json({}) == NO_HISTORY
    later = history.to_json()
    later["stages"][0]["weather"] = "fine"  # type: ignore[index]
    assert History.of_json(later) == history


@pytest.mark.parametrize(
    "section",
    [
        {"stages": 3},
        {"stages": [3]},
        {"stages": [{"kind": "fresh"}]},
        with_data(3),
        with_data({"kind": "recordings"}),
        with_data({**dataclasses.asdict(record()), "rate": "x"}),
        with_data({**dataclasses.asdict(record()), "units": "x"}),
    ],
)
@pytest.mark.parametrize("layout", ["own", "openpi"])
def test_a_damaged_history_is_an_error_that_names_the_file(section: Any, layout: str, tmp_path: Path) -> None:
    path = imitation(tmp_path, record()) if layout == "openpi" else save_own(tmp_path / "run")
    file = path / ("settings.json" if layout == "openpi" else "metadata.json")
    rewrite_json(file, lambda content: content.update(made_from=section))
    with pytest.raises(CheckpointError, match=rf"the section made_from of .*{file.name} cannot be used"):
        Checkpoint.open(path)


def imitation(folder: Path, data: DataRecord, config: TrainConfig | None = None) -> Path:
    """Returns a checkpoint that imitated data, and has the settings of `config`."""
    return save_openpi_checkpoint(
        folder / "imitation",
        make_params()["actor_backbone"],
        write_assets=lambda assets: make_tokenizer().save(assets),
        settings=RunSettings.of(config or small_policy.configure(folder)),
        history=History((Stage("fresh", "fresh weights"), Stage("imitation", "10 steps", data=data))),
    )


def test_training_and_export_carry_the_history_on(tmp_path: Path) -> None:
    start = imitation(tmp_path, record())
    config = small_policy.configure(tmp_path, run={"pretrained_checkpoint_path": str(start)})
    first = Learner.start(config)
    resumed = Learner.start(dataclasses.replace(config, run=dataclasses.replace(config.run, resume=True)))
    (resumed.checkpoint.root / "metadata.json").touch()
    for learner in (first, resumed):
        fresh, imitated, trained = learner.checkpoint.history.stages
        assert (fresh.kind, imitated.data, imitated.checkpoint) == ("fresh", record(), str(start))
        assert (trained.kind, trained.checkpoint) == ("training", str(learner.checkpoint.root))
        assert f"task reach, simulator kinematic, run {learner.run_id}, 0 updates" in trained.text
    exported = Checkpoint.open(export(first.checkpoint, tmp_path / "exported", dtype="bfloat16"))
    assert [stage.kind for stage in exported.history.stages] == ["fresh", "imitation", "training", "export"]
    assert exported.history.newest_data(RECORDINGS) == record()
    assert exported.history.stages[-1].text.startswith("the actor in openpi's layout, bfloat16")


def test_checkpoints_of_others_say_that_nothing_is_known(tmp_path: Path) -> None:
    foreign = Checkpoint.open(save_openpi(tmp_path / "foreign"))
    (stage,) = foreign.history.stages
    assert (stage.kind, stage.checkpoint) == ("foreign", str(foreign.root))
    own = save_own(tmp_path / "run")
    rewrite_json(own / "metadata.json", lambda content: content.pop("made_from"))
    assert [stage.kind for stage in Checkpoint.open(own).history.stages] == ["fresh", "training"]
    unsaid = imitation(tmp_path, record())
    rewrite_json(unsaid / "settings.json", lambda content: content.pop("made_from"))
    assert [stage.kind for stage in Checkpoint.open(unsaid).history.stages] == ["foreign"]
    fallback = {"kind": "scratch", "path": "cup", "is_fallback": True, "reason": "it is damaged", "notes": []}
    rewrite_json(own / "metadata.json", lambda content: content.update(provenance=fallback))
    (fresh, _) = Checkpoint.open(own).history.stages
    assert fresh.text == "fresh weights, because cup could not be loaded: it is damaged"


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_commands_print_the_history(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = imitation(tmp_path, record(fingerprint="ab" * 32))
    rest = {"evaluate": ["--simulator", "none"], "export": [str(tmp_path / "exported")]}
    with pytest.raises(SystemExit) if command == "evaluate" else pytest.MonkeyPatch.context():
        main([command, str(path), *rest[command]])
    printed = capsys.readouterr().out
    assert (
        f"{path} was made in these stages:\n  1. fresh: fresh weights\n  2. imitation: 10 steps ({path}); " in printed
    )
    assert "recordings (cup): 1 episode, 5 steps, 50 Hz, prompts 'stack', arms left_first, channels rgb" in printed
    assert "fingerprint abababababab\n" in printed


def parsed(*arguments: str) -> Any:
    parser = flags.FlagParser(prog="test", description=None)
    flags.add_config_flags(parser, preset="debug")
    return parser, parser.parse_args(arguments)


def test_one_line_says_what_is_assumed_of_a_checkpoint_of_another_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign, own = save_openpi(tmp_path / "foreign"), save_own(tmp_path / "run")
    config_for_measuring(*parsed("--config", "debug", "--adapt_to_pi"), Checkpoint.open(foreign))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "assumed" in line]
    assert line == (
        f"{foreign} does not say what its actions mean; assumed: model.action_horizon 16, model.delta_actions True, "
        "model.adapt_to_pi True, model.adapt_gripper openpi, robot.control_rate 50.0, robot.gripper_convention openpi; "
        "flags change it"
    )
    config_for_measuring(*parsed(), Checkpoint.open(own))
    assert "assumed" not in capsys.readouterr().out


# The tests below check which recorded episodes a checkpoint accepts.


@pytest.mark.parametrize(("name", "other"), [("arm_order", "right_first"), ("channel_order", "bgr")])
def test_episodes_that_were_read_with_another_meaning_are_refused_by_name(
    name: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = Checkpoint.open(imitation(tmp_path, record()))
    with pytest.raises(ContradictedCheckpoint) as refused:
        check_data(checkpoint, record(**{name: other}), insisted=())
    old = getattr(record(), name)
    assert f"recordings.{name}: checkpoint {old}, now {other}; set --{name} {old}, or, where" in str(refused.value)
    assert str(refused.value).endswith(f"--insist {name}")
    check_data(checkpoint, record(**{name: other}), insisted=(name,))
    check_data(checkpoint, record(arm_order=BY_NAMES), insisted=())
    check_data(Checkpoint.open(save_openpi(tmp_path / "foreign")), record(**{name: other}), insisted=())
    capsys.readouterr()
    check_data(checkpoint, record(rate=30.0, fingerprint="other", units=("joint_unit deg",)), insisted=())
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("these recordings differ from those that")
    assert "rate 50 Hz -> 30 Hz; units joint_unit rad, state_gripper_unit normalized, " in line
    check_data(checkpoint, record(), insisted=())
    assert "imitated the same data (fingerprint " in capsys.readouterr().out


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    folder = tmp_path / "recorded"
    folder.mkdir()
    for number in range(3):
        write_hdf5(folder / f"episode_{number}.hdf5", STEPS)
    return folder


def configure(folder: Path, **changes: Any) -> TrainConfig:
    config = small_policy.configure(folder, max_token_len=100, max_action_tokens=70, run={"prompt": "stack"})
    settings = {"bc_steps": 2, "bc_batch_size": 2, "chunk_stride": 2, "validation_fraction": 0.0}
    return dataclasses.replace(
        config,
        pretrain=dataclasses.replace(config.pretrain, **settings),
        recordings=dataclasses.replace(config.recordings, **{"insist": IMPLAUSIBLE, **changes}),
    )


def test_an_imitation_keeps_what_it_read_and_refuses_to_go_on_with_swapped_arms(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(behavior_cloning, "clone", lambda policy, params, batch, config, *, on_step: params)
    right = configure(tmp_path, arm_order="right_first")
    written = Checkpoint.open(clone_episodes([recorded], right, tmp_path / "kept" / "one"))
    fresh, made = written.history.stages
    assert (fresh.kind, made.kind, made.text) == (
        "fresh",
        "imitation",
        "2 gradient steps of behavior cloning, 2 chunks each",
    )
    data = made.data
    assert data is not None
    assert (data.origin, data.episode_count, data.step_count) == (str(recorded), 3, 3 * STEPS)
    assert (data.arm_order, data.prompts) == ("right_first", ("stack",))
    assert written.settings.values["recordings.arm_order"] == "right_first"

    left = configure(tmp_path, arm_order="left_first")
    left = dataclasses.replace(
        left, run=dataclasses.replace(left.run, pretrained_checkpoint_path=str(written.root)), model=right.model
    )
    with pytest.raises(ContradictedCheckpoint, match="recordings.arm_order: checkpoint right_first, now left_first"):
        clone_episodes([recorded], left, tmp_path / "kept" / "two")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["one", "one.png"]
    with pytest.raises(ContradictedCheckpoint, match="recordings.arm_order"):
        recorded_chunks_of(recorded, left, checkpoint=written)
    insisting = dataclasses.replace(
        left, recordings=dataclasses.replace(left.recordings, insist=("arm_order", *IMPLAUSIBLE))
    )
    again = Checkpoint.open(clone_episodes([recorded], insisting, tmp_path / "kept" / "two"))
    assert [stage.kind for stage in again.history.stages] == ["fresh", "imitation", "imitation"]
    assert again.history.stages[1].checkpoint == str(written.root)


def test_flags_come_before_the_checkpoint_that_an_imitation_starts_from_and_it_comes_before_the_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(tmp_path, arm_order="right_first", channel_order="bgr")
    config = dataclasses.replace(config, robot=dataclasses.replace(config.robot, control_rate=30.0))
    path = imitation(tmp_path, record(), config)
    start = ("--pretrained_checkpoint_path", str(path))
    setup = setup_for_imitation(*parsed(*start, "--channel_order", "rgb"))
    assert setup.config.model == config.model
    assert (setup.config.recordings.arm_order, setup.config.recordings.channel_order) == ("right_first", "rgb")
    assert (setup.config.robot.control_rate, setup.config.run.prompt) == (30.0, "")  # Episodes have their own prompts.
    printed = capsys.readouterr().out
    assert f"the model is that of {path}, and so are " in printed
    assert "robot.control_rate 30.0" in printed and "recordings.arm_order right_first" in printed
    assert setup_for_imitation(*parsed("--prompt", "stack")).config.run.prompt == "stack"


def test_an_imitation_of_several_tasks_keeps_their_prompts(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(behavior_cloning, "clone", lambda policy, params, batch, config, *, on_step: params)
    prompts = ("stack", "3=fold the towel", "Stack")
    for number, prompt in enumerate(prompts):
        with h5py.File(recorded / f"episode_{number}.hdf5", "a") as file:
            file.attrs["prompt"] = prompt
    config = configure(tmp_path)
    config = dataclasses.replace(config, run=dataclasses.replace(config.run, prompt=""))
    written = Checkpoint.open(clone_episodes([recorded], config, tmp_path / "one"))
    found = config_for_measuring(*parsed("--config", "debug"), written)
    assert (found.run.prompt, len(found.episode.prompts)) == ("", 2)
    texts = {prompt.text.lower() for prompt in found.episode.weighted_prompts}
    assert texts == {"stack", "3=fold the towel"}
    assert isinstance(found.episode, EpisodeConfig)


def test_training_from_own_demonstrations_takes_their_prompt_and_their_tokens_without_flags(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(behavior_cloning, "clone", lambda policy, params, batch, config, *, on_step: params)
    config = configure(tmp_path)
    written = clone_episodes([recorded], config, tmp_path / "one")
    found = setup_for_training(*parsed("--pretrained_checkpoint_path", str(written))).config
    assert found.run.prompt == "stack"
    assert (found.model.max_action_tokens, found.model.max_token_len) == (70, 100)
    assert found.model == config.model
    assert found.env == PRESETS["debug"].env  # Recorded episodes have no simulator.


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--no_delta_actions"], "model.delta_actions True -> False"),
        (["--action_horizon", "8"], "model.action_horizon 4 -> 8"),
        (["--adapt_to_pi"], "model.adapt_to_pi False -> True"),
        (["--image_size", "64"], "model.image_size 32 -> 64"),
        (["--action_dim", "7"], "model.action_dim 14 -> 7"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "positions"])
def test_an_imitation_is_not_measured_with_another_meaning(
    command: str, flags: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small_policy.configure(tmp_path, cameras=tuple(ROBOT_CAMERAS))
    path = imitation(tmp_path, record(), config)
    assert main([command, str(path), *flags]) == 2
    error = capsys.readouterr().err
    assert text in error and "use the checkpoint's settings" in error
    assert "Traceback" not in error
