"""Tests that conditions of nodes are logged once when they begin and once when they end.

It also tests that every text of the table can be filled in where it is used.
"""

from __future__ import annotations

import ast
import pathlib
import string

from diagnostic_msgs.msg import DiagnosticStatus

from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Condition, Conditions
from chunk_ppo_ros.nodes.common.sensors import sensor_conditions

NODES = pathlib.Path(condition_table.__file__).parents[1]
TABLE = {
    name: entry
    for part in (condition_table, sensor_conditions)
    for name, entry in vars(part).items()
    if isinstance(entry, Condition)
}
CAMERA = Condition(
    key="images of {camera}", text="{camera}: {reason}", cleared="{camera} is well", renewed_by=("reason",)
)
DISK = Condition(key="disk", text="no room for {waited:.1f} s", cleared="there is room", is_error=True)


class Node:
    """Stands for a node and its logger, and keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def get_logger(self) -> Node:
        return self

    def error(self, text: str) -> None:
        self.lines.append(("error", text))

    def warning(self, text: str) -> None:
        self.lines.append(("warning", text))

    def info(self, text: str) -> None:
        self.lines.append(("info", text))


def test_a_condition_is_logged_when_it_begins_when_it_is_renewed_and_when_it_is_over() -> None:
    node, changes = Node(), []
    conditions = Conditions(node, on_change=lambda: changes.append(len(node.lines)))  # type: ignore[arg-type]
    conditions.clear_condition(CAMERA, camera="left")
    for reason in ("dark", "dark", "blurred"):
        conditions.raise_condition(CAMERA, camera="left", reason=reason)
    for _ in range(2):
        conditions.clear_condition(CAMERA, camera="left")
    assert node.lines == [("warning", "left: dark"), ("warning", "left: blurred"), ("info", "left is well")]
    assert changes == [1, 2, 3]


def test_a_value_that_renews_nothing_changes_the_text_but_is_not_logged_again() -> None:
    node = Node()
    conditions = Conditions(node)  # type: ignore[arg-type]
    for waited in (1.0, 2.0):
        conditions.raise_condition(DISK, waited=waited)
    assert node.lines == [("error", "no room for 1.0 s")]
    assert conditions.texts == ["no room for 2.0 s"]


def test_the_worst_condition_gives_the_level() -> None:
    conditions = Conditions(Node())  # type: ignore[arg-type]
    assert conditions.level == DiagnosticStatus.OK
    conditions.raise_condition(CAMERA, camera="left", reason="dark")
    conditions.raise_condition(CAMERA, camera="right", reason="dark")
    assert (conditions.level, len(conditions.texts)) == (DiagnosticStatus.WARN, 2)
    conditions.raise_condition(DISK, waited=1.0)
    assert conditions.level == DiagnosticStatus.ERROR
    conditions.forget()
    assert (conditions.level, conditions.texts) == (DiagnosticStatus.OK, [])


def test_each_condition_of_the_table_has_a_key_of_its_own_and_all_its_texts() -> None:
    assert len(TABLE) > 20
    assert len({entry.key for entry in TABLE.values()}) == len(TABLE)
    assert not [name for name, entry in TABLE.items() if not (entry.key and entry.text and entry.cleared)]


def test_what_stops_a_part_of_the_run_is_an_error_and_what_it_waits_for_is_a_warning() -> None:
    assert {name for name, entry in TABLE.items() if not entry.is_error} == {
        "SENSORS_SILENT",
        "SENSORS_APART",
        "IMAGE_UNREADABLE",
        "ARM_UNREADABLE",
        "CAMERA_DOUBTFUL",
        "FINGER_IMPOSSIBLE",
        "CURRENTS_UNKNOWN",
        "MOTOR_HOT",
        "OUTSIDE_WORKSPACE",
        "NOBODY_LISTENS",
        "TRAINER_LEFT",
        "CHUNK_UNFINISHED",
        "SOURCE_UNKNOWN",
        "OBSERVATION_REFUSED",
        "TOKENS_INVALID",
        "CHUNK_REFUSED",
        "SEGMENT_UNUSED",
        "SEGMENT_TOO_LONG",
        "LEADER_NOT_FOLLOWED",
        "TRANSITION_OF_OTHER_VERSION",
        "RECORDING_GAPS",
    }


def placeholders(*texts: str) -> set[str]:
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}


def calls(method: str) -> list[tuple[str, str, set[str]]]:
    """Returns the file, the condition and the values of each call of `raise_condition` or `clear_condition`."""
    found = []
    for path in sorted(NODES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
                condition = node.args[0]
                if isinstance(condition, ast.Attribute):
                    found.append((path.name, condition.attr, {str(keyword.arg) for keyword in node.keywords}))
    return found


def test_each_call_gives_the_values_that_the_texts_name() -> None:
    raised, cleared = calls("raise_condition"), calls("clear_condition")
    lacking = [
        (file, name, placeholders(TABLE[name].key, TABLE[name].text) | set(TABLE[name].renewed_by) - values)
        for file, name, values in raised
        if not placeholders(TABLE[name].key, TABLE[name].text) | set(TABLE[name].renewed_by) <= values
    ]
    lacking += [
        (file, name, placeholders(TABLE[name].key, TABLE[name].cleared) - values)
        for file, name, values in cleared
        if not placeholders(TABLE[name].key, TABLE[name].cleared) <= values
    ]
    assert not lacking
    assert {name for _, name, _ in raised} == set(TABLE), "each entry of the table is raised somewhere"
