"""The pages of all settings, one for each section of the configuration."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.config.guidance.typical import TYPICAL

_INDEX = """# Parameters

Every setting is a flag of the commands (`--learning_rate 3e-4`, or `--ppo.learning_rate 3e-4`), a ROS parameter
(`ppo.learning_rate`) and a key of the YAML files below `config/`. Each page has one section. An entry gives the type,
the default, the values of the presets where they differ from it, the range, typical values and when to change them.
Units are in the description. An unknown name and a value out of range are errors.

| section | settings | what it is about |
|---|---|---|
"""


_GUIDES = {
    "model": "docs/model.md",
    "ppo": "docs/tune.md, and docs/concepts-ppo.md",
    "env": "docs/own-task.md",
    "episode": "docs/episodes.md, and docs/prompts.md",
    "chunk_length": "docs/chunk-length.md",
    "robot": "docs/robot.md, and docs/robot-limits.md",
    "operate": "docs/operate.md",
    "reward": "docs/rewards.md",
    "pretrain": "docs/data.md",
    "recordings": "docs/recordings.md",
    "run": "docs/store.md, and docs/report.md",
    "deploy": "docs/deploy.md",
}
"""The pages that explain the settings of a section."""


def pages() -> dict[str, str]:
    """Returns the index and a page for each section, by their paths."""
    sections = _sections()
    rows = [
        f"| [`{name}`]({name}.md) | {len(dataclasses.fields(section))} | {_first_sentence(section)} |\n"
        for name, section in sections.items()
    ]
    names = "\n".join(sections)
    index = f"{_INDEX}{''.join(rows)}\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    made = {f"parameters/{name}.md": _page(name, section) for name, section in sections.items()}
    return {"parameters/index.md": index, **made}


def _sections() -> Mapping[str, type]:
    return {field.name: typing.get_type_hints(TrainConfig)[field.name] for field in dataclasses.fields(TrainConfig)}


def _first_sentence(section: type) -> str:
    return (section.__doc__ or "").strip().splitlines()[0]


def _page(name: str, section: type) -> str:
    text = "\n\n".join(line.strip() for line in (section.__doc__ or "").strip().split("\n\n"))
    entries = "\n".join(_entry(name, section, field) for field in dataclasses.fields(section))
    guide = f"How they are used: {_GUIDES[name]}."
    return f"# Parameters of {name}\n\n{' '.join(text.split())} {guide}\n\n{entries}"


def _entry(name: str, section: type, field: dataclasses.Field[Any]) -> str:
    facts = [f"**Type** {_type(section, field)}", f"**default** {_shown(_default(field))}"]
    facts += [f"**{preset}** {value}" for preset, value in _other_presets(name, field)]
    facts += _range(field.metadata)
    facts += ["only in the graph"] * bool(field.metadata["graph_only"])
    facts += ["can be changed while the node runs"] * bool(field.metadata["adjustable"])
    typical = TYPICAL.get(f"{name}.{field.name}")
    parts = [f"## `{name}.{field.name}`", _sentence(field.metadata["help"]), " · ".join(facts)]
    return "\n\n".join([*parts, *([f"*Typical:* {typical}"] if typical else [])]) + "\n"


def _sentence(text: str) -> str:
    """Returns a description as Markdown that begins with a capital and ends with a full stop."""
    escaped = text.replace("*", "\\*").replace("_", "\\_").replace("<", "\\<")
    return escaped[:1].upper() + escaped[1:] + ("" if escaped.endswith(".") else ".")


def _type(section: type, field: dataclasses.Field[Any]) -> str:
    hint = typing.get_type_hints(section)[field.name]
    names = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    return names.get(hint, "list of texts")


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if callable(field.default_factory) else field.default


def _other_presets(name: str, field: dataclasses.Field[Any]) -> list[tuple[str, str]]:
    """Returns the presets whose value is not the default."""
    values = [(preset, getattr(getattr(config, name), field.name)) for preset, config in PRESETS.items()]
    return [(preset, _shown(value)) for preset, value in values if value != _default(field)]


def _range(metadata: Mapping[str, Any]) -> list[str]:
    low, high = metadata["minimum"], metadata["maximum"]
    if metadata["choices"]:
        return ["**one of** " + ", ".join(f"`{choice}`" for choice in metadata["choices"])]
    if low is None and high is None:
        return []
    if high is None:
        return [f"**range** at least {low:g}"]
    return [f"**range** at most {high:g}" if low is None else f"**range** {low:g} to {high:g}"]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`" if str(value) else "empty"
