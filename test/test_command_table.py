"""Tests that every command has a group, a teaching help and a parser, and that none of them loads what is slow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chunk_ppo_ros.__main__ import COMMANDS, main
from chunk_ppo_ros.cli.reference import describe_commands
from chunk_ppo_ros.cli.table import GROUPS
from chunk_ppo_ros.config import PRESETS
from chunk_ppo_ros.config.commands.training import DEMO_TIMESTEPS, demo_parser, pretrain_parser
from support.fresh_python import run_program

SLOW = ("jax", "mujoco", "rclpy", "matplotlib", "pyarrow", "h5py", "tqdm")
"""The packages that take long to load, none of which help needs."""

ALL_HELPS = f"""
import contextlib, io, json, sys
from chunk_ppo_ros.__main__ import COMMANDS, main
loaded = {{}}
for arguments in [["--help"], *([name, flag] for name in COMMANDS for flag in ("--help", "--help-all"))]:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code
    assert code == 0 and text.getvalue(), arguments
    slow = sorted(set({SLOW!r}) & set(sys.modules))
    if slow:
        loaded[" ".join(arguments)] = slow
print(json.dumps(loaded))
"""
ALL_WRONG_FLAGS = f"""
import contextlib, io, json, sys
from chunk_ppo_ros.__main__ import COMMANDS, main
for name in COMMANDS:
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            code = main([name, "--jsno"])
        except SystemExit as end:
            code = end.code
    assert code == 2, name
print(json.dumps(sorted(set({SLOW!r}) & set(sys.modules))))
"""
PAGES = {page.name: page for page in describe_commands()}


def test_help_loads_nothing_that_is_slow() -> None:
    done = run_program(ALL_HELPS)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


def test_every_command_is_in_a_group_and_has_a_parser() -> None:
    assert {command.group for command in COMMANDS.values()} == set(GROUPS)
    assert list(PAGES) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_teaches(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: chunk_ppo {name}")
    assert "\nexamples:\n" in text
    for line, explanation in PAGES[name].examples:
        assert line.startswith((f"chunk_ppo {name}", f'eval "$(chunk_ppo {name}')), line
        assert line in text and explanation in text
    assert len(text.splitlines()) < 75


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if page.defaults])
def test_the_flags_that_most_people_want_first_are_few_and_there(name: str) -> None:
    first = [flag for flag in PAGES[name].flags if flag.is_first]
    assert 3 <= len(first) <= 8
    assert all(flag.help for flag in first)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_a_command_are_accepted_by_its_parser(name: str) -> None:
    parser = COMMANDS[name].make_parser("chunk_ppo_ros")
    assert parser is not None
    for line, _ in parser.examples:
        words = line.removeprefix('eval "$(').removesuffix(')"').replace("'lift the cup'", "cup").split()
        parser.parse_args(words[2:])


def help_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Returns the help that the arguments ask for, in one line."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_values_in_the_help_are_those_of_the_preset_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    assert PRESETS["debug"].ppo.total_timesteps != PRESETS["demo"].ppo.total_timesteps
    for given, preset in ((("train",), "debug"), (("train", "--config", "demo"), "demo")):
        text = help_of(capsys, *given, "--help")
        assert f"They are those of preset {preset}" in text
        assert f"({PRESETS[preset].ppo.total_timesteps})" in text
    demo = help_of(capsys, "demo", "--help")
    assert "They are those of preset demo" in demo and f"({DEMO_TIMESTEPS})" in demo
    assert "(gemma_2b)" in help_of(capsys, "train", "--model", "gemma_2b", "--help", "model")
    assert "behind the robot's topics (none)" in help_of(capsys, "doctor", "--help", "env")


def test_the_rest_of_the_flags_is_shown_by_section(capsys: pytest.CaptureFixture[str]) -> None:
    short, section = help_of(capsys, "train", "--help"), help_of(capsys, "train", "--help", "ppo")
    whole = help_of(capsys, "train", "--help-all")
    assert "--gae_lambda" not in short and "--gae_lambda" in section and "--gae_lambda" in whole
    assert "--exp_name" in short and "--exp_name" not in section and "--exp_name" in whole
    assert "--ppo.gae_lambda" not in whole  # It is the same flag, and the last line says so.


def test_an_argument_after_help_is_no_section_where_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert help_of(capsys, "topic", "--help", "echo") == help_of(capsys, "help", "topic", "echo")


def test_a_section_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "--help", "pop"])
    assert end.value.code == 2
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith("chunk_ppo train: --help SECTION must name one of model, ppo, env")
    assert line.endswith("got 'pop'; did you mean ppo?")


def test_a_wrong_flag_is_refused_before_anything_slow_is_loaded() -> None:
    done = run_program(ALL_WRONG_FLAGS)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_flag_is_refused_in_one_line_and_the_usage(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--jsno"])
    assert end.value.code == 2
    error, usage = capsys.readouterr().err.splitlines()
    assert error.startswith(f"chunk_ppo {name}: unknown flag --jsno; did you mean ")
    assert usage.startswith(f"usage: chunk_ppo {name}") and usage.endswith("--help lists the flags")


def test_the_help_and_the_pages_say_the_same_times() -> None:
    demo, pretrain = ("\n".join(text for _, text in parser().examples) for parser in (demo_parser, pretrain_parser))
    root = Path(__file__).parents[1]
    english, chinese, tutorial = (
        (root / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md", "docs/tutorial.md")
    )
    assert all("7 to 15 minutes on" in text for text in (demo, english)) and "7 至 15 分钟" in chinese
    assert all("3 to 6 minutes" in text for text in (pretrain, english, tutorial)) and "3 至 6 分钟" in chinese
