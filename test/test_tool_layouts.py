"""Tests the settings for rqt and Foxglove: they can be read, and name only topics and fields that there are."""

from __future__ import annotations

import ast
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from chunk_ppo_msgs.msg import TrainingMetrics

from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.topics import Topic

ROOT = pathlib.Path(__file__).resolve().parents[1]
PERSPECTIVE = json.loads((ROOT / "config" / "rqt.perspective").read_text(encoding="utf-8"))
LAYOUT = json.loads((ROOT / "config" / "foxglove_layout.json").read_text(encoding="utf-8"))
TOPICS = {f"/{each.name.strip('/')}": each for each in vars(topics).values() if isinstance(each, Topic)}
OF_ROS = {"/rosout"}
"""Topics that every ROS has."""


def repr_of(key: dict[str, str]) -> Any:
    """Returns the value of a key of a perspective, which rqt writes as a Python literal."""
    assert key["type"] == "repr"
    return ast.literal_eval(key["repr"])


MANAGER = PERSPECTIVE["groups"]["pluginmanager"]
PLUGINS = repr_of(MANAGER["keys"]["running-plugins"])


def plugin_settings(name: str, number: int) -> dict[str, Any]:
    """Returns the settings of a plugin of the perspective."""
    group = MANAGER["groups"][f"plugin__{name.replace('/', '__')}__{number}"]["groups"]["plugin"]
    return {key: repr_of(value) for key, value in group["keys"].items()}


def assert_is_field(topic: str, field: str) -> None:
    """Checks that a topic of the graph has a field that is one number, and that it is not always nan."""
    message_type: Any = TOPICS[topic].message_type
    fields = message_type.get_fields_and_field_types()
    if message_type is TrainingMetrics:
        assert (topic == "/episode_metrics") == field.startswith("episode_"), f"{topic}.{field}"
    assert fields.get(field) in {"double", "float", "uint32", "uint64", "boolean"}, f"{topic}.{field}"


def test_the_perspective_has_the_tools_and_a_group_of_settings_for_each() -> None:
    """rqt restores the settings of no plugin where one name is wrong. These are the names in the plugin.xml of each."""
    assert set(PLUGINS) == {
        "rqt_plot/Plot",
        "rqt_runtime_monitor/RuntimeMonitor",
        "rqt_image_view/ImageView",
        "rqt_topic/TopicPlugin",
    }
    groups = {f"plugin__{name.replace('/', '__')}__{number}" for name, numbers in PLUGINS.items() for number in numbers}
    assert groups == set(MANAGER["groups"])


def test_the_tools_of_the_perspective_have_a_place_in_its_window() -> None:
    """Without one rqt puts all of them into one row, where the curves are too narrow to read."""
    state = PERSPECTIVE["groups"]["mainwindow"]["keys"]["state"]
    assert state["type"] == "repr(QByteArray.hex)"
    (data,) = re.findall(r"QtCore.QByteArray\(b'([0-9a-f]+)'\)", state["repr(QByteArray.hex)"])
    for name, numbers in PLUGINS.items():
        for number in numbers:
            dock = f"{name.replace('/', '__')}__{number}__"
            assert dock.encode("utf-16-be") in bytes.fromhex(data), dock


def test_what_rqt_plots_are_fields_of_our_messages() -> None:
    plotted = [
        path for number in PLUGINS["rqt_plot/Plot"] for path in plugin_settings("rqt_plot/Plot", number)["topics"]
    ]
    assert len(plotted) >= 8
    for path in plotted:
        topic, _, field = path.rpartition("/")
        assert_is_field(topic, field)


def test_the_image_of_rqt_is_the_annotated_one() -> None:
    assert plugin_settings("rqt_image_view/ImageView", 1)["topic"] == f"/{topics.ANNOTATED_VIEW.name}"


def strings(value: Any, *keys: str) -> Iterator[str]:
    """Yields the texts of some keys anywhere in a layout."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in keys and isinstance(inner, str):
                yield inner
            yield from strings(inner, *keys)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, *keys)


def panels(tree: Any) -> Iterator[str]:
    """Yields the panels of the tree of a layout."""
    if isinstance(tree, str):
        yield tree
    else:
        assert set(tree) == {"direction", "first", "second", "splitPercentage"}
        yield from panels(tree["first"])
        yield from panels(tree["second"])


def test_the_layout_of_foxglove_shows_each_panel_once() -> None:
    assert set(LAYOUT) == {"configById", "globalVariables", "userNodes", "playbackConfig", "layout"}
    assert sorted(panels(LAYOUT["layout"])) == sorted(LAYOUT["configById"])


def test_each_plot_of_foxglove_has_a_title() -> None:
    plots = [panel for name, panel in LAYOUT["configById"].items() if name.startswith("Plot!")]
    assert all(plot["foxglovePanelTitle"] for plot in plots)


def test_what_foxglove_plots_are_fields_of_our_messages() -> None:
    plotted = list(strings(LAYOUT, "value"))
    assert len(plotted) >= 15
    for path in plotted:
        topic, _, field = path.partition(".")
        assert_is_field(topic, field)


def test_what_foxglove_shows_are_topics_of_the_graph() -> None:
    shown = {*strings(LAYOUT, "imageTopic", "topicPath", "topicToRender"), *LAYOUT["configById"]["3D!chunks"]["topics"]}
    markers = f"/{topics.CHUNK_MARKERS_NAME}"
    assert shown == {f"/{topics.ANNOTATED_VIEW.name}", "/episode_state", "/diagnostics", "/rosout", markers}
    assert shown - OF_ROS - {markers} <= set(TOPICS)


@pytest.mark.parametrize("file", ["rqt.perspective", "foxglove_layout.json"])
def test_the_settings_are_installed(file: str) -> None:
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert f'files("config/*{pathlib.PurePath(file).suffix}")' in text
