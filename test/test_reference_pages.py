"""Tests the pages that are made from the code: each setting, field, topic, service, command and class has its entry."""

from __future__ import annotations

import dataclasses
import re
import sys
import typing
from pathlib import Path

import pytest
import yaml

from chunk_ppo_ros.cli.table import COMMANDS
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.guidance.typical import TYPICAL
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.nodes.wire import topics as wire

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from documentation.reference import api, messages, pages  # noqa: E402
from documentation.reference.docstrings import markdown  # noqa: E402

SETTINGS = {
    f"{section.name}.{field.name}": field
    for section in dataclasses.fields(TrainConfig)
    for field in dataclasses.fields(typing.get_type_hints(TrainConfig)[section.name])
}


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages.pages()


def entry(text: str, heading: str) -> str:
    """Returns what stands below a heading of the second level."""
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_each_setting_has_typical_values() -> None:
    assert set(TYPICAL) == set(SETTINGS)
    assert all(text.endswith(".") for text in TYPICAL.values())


def test_typical_values_say_which_value_switches_a_limit_of_the_robot_off() -> None:
    found = {
        name: off[1]
        for name, field in SETTINGS.items()
        if name.startswith("robot.") and (off := re.search(r"; (-?\d) for (?:no\b|none)", field.metadata["help"]))
    }
    assert len(found) >= 8
    silent = [name for name, off in found.items() if not re.search(rf"\. {off} ", TYPICAL[name])]
    assert not silent, f"{silent} must have a sentence about the value that switches them off"


def test_typical_values_of_the_robot_include_those_of_its_parameter_file() -> None:
    sections = yaml.safe_load((ROOT / "config/robot.yaml").read_text())["/**"]["ros__parameters"]
    numbers = {name: value for name, value in sections["robot"].items() if isinstance(value, float)}
    assert len(numbers) > 15
    for name, value in numbers.items():
        text = TYPICAL[f"robot.{name}"]
        assert value in [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)], f"{name} {value}: {text}"


def test_each_setting_has_an_entry_with_its_range(made: dict[str, str]) -> None:
    for name, field in SETTINGS.items():
        text = entry(made[f"parameters/{name.partition('.')[0]}.md"], f"`{name}`")
        assert field.metadata["minimum"] is None or f"{field.metadata['minimum']:g}" in text, name
        assert all(f"`{choice}`" in text for choice in field.metadata["choices"] or ()), name
        assert TYPICAL.get(name, "") in text, name


def test_a_setting_is_shown_with_the_presets_that_differ(made: dict[str, str]) -> None:
    facts = entry(made["parameters/ppo.md"], "`ppo.learning_rate`")
    assert "**default** `0.0001` · **demo** `5e-05` · **full** `0.0003` · **range** 0 to 1" in facts


def test_each_section_names_the_pages_that_explain_it(made: dict[str, str]) -> None:
    for section in dataclasses.fields(TrainConfig):
        names = re.findall(r"docs/([\w-]+\.md)", made[f"parameters/{section.name}.md"].split("\n## ")[0])
        assert names and all((ROOT / "docs" / name).is_file() for name in names), section.name


def test_each_field_of_each_message_has_a_row_with_a_meaning(made: dict[str, str]) -> None:
    for path in [*(ROOT / "msg").glob("*.msg"), *(ROOT / "msg").glob("*.srv")]:
        kind = "message" if path.suffix == ".msg" else "service"
        text = entry(made["messages.md"], f"{path.stem} ({kind})")
        lines = [line for line in path.read_text().splitlines() if re.match(r"[a-zA-Z]", line)]
        rows = re.findall(r"^\| `(.*?)`<br>(.*?) \| (.*) \|$", text, re.MULTILINE)
        assert len(rows) == len(lines), path.name
        assert all(meaning for _, _, meaning in rows), path.name
        names = [line.split("#")[0].split(maxsplit=1)[1].split("=")[0].split()[0] for line in lines]
        assert [name.split()[0] for name, _, _ in rows] == names, path.name
    assert r"[RewardTerm\[\]](#rewardterm-message)" in made["messages.md"], "a link whose text has brackets"


def test_a_message_is_parsed_with_constants_continued_lines_and_defaults() -> None:
    text = "# What it is.\n# More.\n\n# The values.\nuint8 A=1   # one\n\nfloat32[] x 3   # [N], a\n              # b\n"
    parsed = messages.parse(text)
    assert parsed.about == "What it is. More."
    assert parsed.parts == (
        "The values.",
        (messages.Entry("uint8", "A = 1", "one"),),
        (messages.Entry("float32[]", "x", "[N], a b", "3"),),
    )
    with pytest.raises(ValueError, match=r"a line must be a comment, a field or a constant, got 'nonsense'"):
        messages.parse("nonsense")


def test_each_topic_and_service_has_an_entry(made: dict[str, str]) -> None:
    for name, value in vars(wire).items():
        for topic in value.values() if isinstance(value, dict) and name.isupper() else [value]:
            if isinstance(topic, wire.Topic):
                assert f"### `{topic.name}`\n" in made["topics.md"], name
    for service in services.OPERATOR_SERVICES:
        assert f"| `{service.path}` |" in made["topics.md"]


def test_a_topic_is_shown_with_its_type_its_nodes_and_its_quality(made: dict[str, str]) -> None:
    text = made["topics.md"].split("### `episode_event`\n")[1].split("\n### ")[0]
    assert "[`chunk_ppo_msgs/msg/EpisodeEvent`](messages.md#episodeevent-message)" in text
    assert "Published by reward_node." in text
    assert re.search(r"Read by .*policy_node.*robot_node.*sim_node.*trainer_node", text)
    assert "Publishers: reliable, transient local (latched), keep the last message." in text


def test_each_command_has_an_entry_without_the_flags_that_are_settings(made: dict[str, str]) -> None:
    for name in COMMANDS:
        text = made["commands.md"].split(f"\n### {name}\n")[1].split("\n### ")[0]
        assert f"usage: chunk_ppo {name}" in text, name
        assert "--gae_lambda" not in text, name


def test_the_api_has_the_functions_with_shapes_and_formulas(made: dict[str, str]) -> None:
    text = made["api/rl.md"]
    assert "### gae\n" in text
    assert "    rewards: Float[AnyArray, 'N']," in text
    assert r"\delta_t &= r_t + \gamma_t (1 - d_t) v'_t - v_t \\" in text
    for page in api.PAGES:
        assert made[f"api/{page.name}.md"].count("\n## ") == len(page.modules)


def test_a_docstring_becomes_markdown() -> None:
    docstring = """Returns x: the *first* of [N].

    .. math:: a_t
    with :math:`b_t` and ``c_d``.

    Args:
        key: source of
            randomness.

    Returns:
        Two things: a and b.
    """
    assert markdown(docstring) == (
        "Returns x: the \\*first\\* of \\[N].\n\n$$\na_t\n$$\n\nwith $b_t$ and `c_d`.\n\n"
        "*Arguments*\n\n- `key`: source of randomness.\n\n*Returns*\n\nTwo things: a and b."
    )
