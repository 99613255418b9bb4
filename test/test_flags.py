"""Tests the configuration on the command line: both forms of a flag, presets, and errors in one line."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import io
import pathlib

import pytest

import chunk_ppo_ros
from chunk_ppo_ros.config import PRESETS, TrainConfig, flags
from chunk_ppo_ros.config.presets import ABOUT


def make_parser(preset: str = "debug") -> flags.FlagParser:
    parser = flags.FlagParser(prog="command", description="What it does.")
    parser.add_argument("place", help="a folder")
    parser.add_argument("--output", required=True, help="a file")
    flags.add_config_flags(parser, preset=preset)
    return parser


def parse(*arguments: str, preset: str = "debug") -> TrainConfig:
    parser = make_parser(preset)
    return flags.config_or_exit(parser, parser.parse_args(["here", "--output", "there", *arguments]))


def help_of(*arguments: str, preset: str = "debug") -> str:
    """Returns the help that the arguments ask for, in one line."""
    text = io.StringIO()
    with pytest.raises(SystemExit), contextlib.redirect_stdout(text):
        make_parser(preset).parse_args(arguments)
    return " ".join(text.getvalue().split())


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Returns the lines of an error of use."""
    with pytest.raises(SystemExit) as exit_status:
        parse(*arguments)
    assert exit_status.value.code == 2
    return capsys.readouterr().err.splitlines()


def test_a_flag_may_have_its_section_before_its_name() -> None:
    short = parse(
        "--learning_rate",
        "0.5",
        "--cameras",
        "base_0_rgb",
        "left_wrist_0_rgb",
        "--no_wandb",
        "--task=reach",
        "--adapt_to_pi",
    )
    dotted = parse(
        "--ppo.learning_rate",
        "0.5",
        "--model.cameras",
        "base_0_rgb",
        "left_wrist_0_rgb",
        "--run.no_wandb",
        "--env.task=reach",
        "--model.adapt_to_pi",
    )
    assert short == dotted
    assert (short.ppo.learning_rate, short.run.wandb) == (0.5, False)
    assert short.model.cameras == ("base_0_rgb", "left_wrist_0_rgb")
    assert short.model.adapt_to_pi


def test_every_setting_has_both_forms() -> None:
    known = help_of("--help-all")
    assert "--learning_rate NUMBER" in known and "--ppo.learning_rate NUMBER" not in known  # one line a setting
    assert "--no_wandb" in known and "--run.no_wandb" not in known
    assert known.count("log to wandb") == 1
    assert "--no_wandb, --no-wandb turn off --wandb" in known
    assert parse("--reward.jerk_penalty", "0.5").reward.jerk_penalty == 0.5
    assert parse("--run.no-wandb") == parse("--no-wandb") == parse("--run.no_wandb")


def test_absent_flags_leave_the_presets_values() -> None:
    assert parse() == PRESETS["debug"]
    assert parse(preset="demo") == parse("--config", "demo") == PRESETS["demo"]
    assert parse("--config", "full", "--model", "tiny").model.paligemma_variant == "tiny"


def test_help_shows_the_values_of_the_preset_that_counts() -> None:
    text = help_of("--help-all", preset="demo")
    assert "preset that the flags start from; by default demo" in text
    assert "They are those of preset demo" in text
    assert "sampling temperature (0.7)" in text
    assert "height and width of the square model images, pixels (64)" in text
    assert text.startswith("usage: command PLACE --output OUTPUT [flags]; --help lists the flags What it does.")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--learning_rte", "1"], "unknown flag --learning_rte; did you mean --learning_rate"),
        (["--learning-rate", "1"], "unknown flag --learning-rate; did you mean --learning_rate"),
        (["--ppo.learning_rte=1"], "unknown flag --ppo.learning_rte; did you mean --ppo.learning_rate"),
        (["--xyzzy"], "unknown flag --xyzzy; did you mean one of those that --help-all lists?"),
        (["--gemma_depth", "2"], "unknown flag --gemma_depth; write --tower_sizes gemma.depth=NUMBER"),
        (["--cube_spread=0.5"], "unknown flag --cube_spread; write --task_settings cube_spread=NUMBER"),
        (["--env.cube_spread", "1"], "unknown flag --env.cube_spread; write --env.task_settings cube_spread=NUMBER"),
        (
            ["--ppo.max_logp_gap_bfloat16", "1"],
            "unknown flag --ppo.max_logp_gap_bfloat16; write --ppo.max_logp_gap NUM",
        ),
        (["--learning_rate", "-1"], "--learning_rate must be within 0.0..1.0, got -1.0"),
        (["--ppo.learning_rate", "nan"], "--ppo.learning_rate must be within 0.0..1.0, got nan"),
        (["--total_timesteps", "0"], "--total_timesteps must be at least 1, got 0"),
        (["--learning_rate", "fast"], "--learning_rate must be a number, got 'fast'"),
        (["--config", "dbug"], "--config must be one of debug, demo, full, got 'dbug'; did you mean debug?"),
        (["--tower_sizes", "gemma.depth"], "tower_sizes must give gemma.depth a whole number of at least 1"),
        (["--", "--learning_rte"], "no such argument is known: -- --learning_rte; leave it out"),
        (["--batch_size", "2.5"], "--batch_size must be a whole number, got '2.5'"),
        (["--batch_size"], "--batch_size must have a value, got none; write --batch_size VALUE"),
        (["--cameras"], "--cameras must have one value or more, got none; write --cameras VALUE"),
        (["--no_wandb=1"], "--no_wandb/--no-wandb must have no value, got '1'; write --no_wandb/--no-wandb alone"),
        (
            ["--simulator", "mojuco"],
            "--simulator must be one of mujoco, kinematic, none, got 'mojuco'; did you mean",
        ),
    ],
)
def test_an_error_comes_first_and_the_usage_is_one_line(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = error_of(capsys, *arguments)
    assert lines[0].startswith(f"command: {error}")
    assert len(lines) == 2
    assert lines[1:] == ["usage: command PLACE --output OUTPUT [flags]; --help lists the flags"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["here"], "--output must be given, got nothing; --help shows how"),
        ([], "place and --output must be given, got nothing; --help shows how"),
    ],
)
def test_missing_arguments_are_named_in_a_sentence(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args(arguments)
    assert capsys.readouterr().err.splitlines()[0] == f"command: {error}"


def test_the_usage_says_which_arguments_may_be_left_out() -> None:
    parser = flags.FlagParser(prog="command", description=None)
    for name, nargs in (("one", None), ("maybe", "?"), ("some", "+"), ("any", "*")):
        parser.add_argument(name, nargs=nargs)
    assert parser.short_usage() == "command ONE [MAYBE] SOME [SOME ...] [ANY ...] [flags]; --help lists the flags"


def test_the_preset_is_said_with_what_it_is_for() -> None:
    parsed = make_parser().parse_args(["here", "--output", "there"])
    assert flags.preset_line(parsed).startswith("preset debug (--config): a smoke test")
    assert set(ABOUT) == set(PRESETS)


def test_a_flag_that_only_nodes_read_is_named_where_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    parser = make_parser()
    given = ["here", "--output", "there", "--gamma", "0.5"]
    flags.print_unused(parser.parse_args(given))
    assert capsys.readouterr().out == ""
    flags.print_unused(parser.parse_args([*given, "--backend", "foo"]))
    assert capsys.readouterr().out == "--backend has no effect here, but only on the graph of nodes\n"
    flags.print_unused(parser.parse_args([*given, "--run.no_autostart", "--backend", "foo"]))
    assert capsys.readouterr().out == "--backend, --autostart have no effect here, but only on the graph of nodes\n"


GRAPH_ALONE = (
    "nodes/",
    "runtime/",
    "agent/run_start/graph_",
    "cli/demo",
    "reporting/software",  # It records which messages a back end needs, and acts on no setting.
    "evaluation/deployment/",
    "robot/player/",
    "robot/leaders/",
    "rewards/bookkeeping/",
    "sim/check_task/",
    "robot/gate/trust_rule",
    "robot/gate/motor_watch",
)
"""The places that the script form does not use."""


def attributes_of(tree: ast.AST) -> set[str]:
    """Returns the names of the attributes that a piece of code reads."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def test_settings_are_said_to_be_of_the_graph_where_only_its_nodes_read_them() -> None:
    """The chunk player and what it believes are the only parts of another room that only a node has."""
    root = pathlib.Path(chunk_ppo_ros.__file__).parent
    read: dict[bool, set[str]] = {True: set(), False: set()}
    functions: list[ast.FunctionDef] = []
    for path in root.rglob("*.py"):
        place = path.relative_to(root).as_posix()
        tree = ast.parse(path.read_text())
        if place.startswith("config/"):
            functions += [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        else:
            read[place.startswith(GRAPH_ALONE)] |= attributes_of(tree)
    for names in read.values():  # Who reads a property of a section reads the settings that the property reads.
        names |= set().union(*(attributes_of(function) for function in functions if function.name in names))
    sections = [getattr(TrainConfig(), section.name) for section in dataclasses.fields(TrainConfig)]
    fields = [field for section in sections for field in dataclasses.fields(section)]
    assert {field.name for field in fields if field.metadata["graph_only"]} == (
        {field.name for field in fields} & read[True] - read[False]
    )
