"""Declares ROS parameters from the configuration's dataclasses.

Each setting is the parameter `section.field` with its description and range, which is read-only unless the setting is
adjustable. Values are checked by
`config/` before they are declared, so that a node and the command line refuse the same values with the same errors.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
import typing
from collections.abc import Mapping
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.config.parameter_file import load_config_file, nest, write_parameter_file
from chunk_ppo_ros.config.renamed import carry_over, notice

__all__ = ["declare", "load_config_file", "write_parameter_file"]


def declare(node: Node, *section_names: str, extra: Mapping[str, str] | None = None) -> config_lib.TrainConfig:
    """Declares the parameters of sections and reads the configuration.

    All overrides that reach the node are checked, also those of other sections, because one file serves the whole
    graph.

    Args:
        node: the node, whose parameters must not be declared yet.
        section_names: the sections of TrainConfig that the node uses.
        extra: the string parameters of this node alone, as name -> description. Their default is "".

    Returns:
        The configuration with all overrides applied.

    Raises:
        ValueError: for an override that no section knows, a wrong type or a value out of range.
    """
    extra = extra or {}
    overrides = {name: _plain(value) for name, value in _overrides(node).items()}
    values, old = carry_over(nest(overrides, extra=extra))
    config = config_lib.from_dict(config_lib.TrainConfig, values)
    for name in old:
        node.get_logger().warning(notice(name, source=_source(node)))
    for section_name in section_names:
        section = getattr(config, section_name)
        for field in dataclasses.fields(section):
            _declare_field(node, section_name, section, field)
    for name, description in extra.items():
        descriptor = ParameterDescriptor(description=description, read_only=True)
        node.declare_parameter(name, str(overrides.get(name, "")), descriptor, ignore_override=True)
    return config


def _source(node: Node) -> str:
    """Returns the parameter files of the process, or the node's name where its parameters come from elsewhere."""
    files = [value for flag, value in itertools.pairwise(sys.argv) if flag == "--params-file"]
    return ", ".join(files) or f"parameters of {node.get_fully_qualified_name()}"


def _overrides(node: Node) -> dict[str, Any]:
    """Returns the overrides from the command line and parameter files by name.

    rclpy has no public function that returns them. It declares them if a node is made with
    automatically_declare_parameters_from_overrides, but then refuses an empty list, which some settings allow.
    """
    return {name: parameter.value for name, parameter in node._parameter_overrides.items()}


def _plain(value: Any) -> Any:
    """Returns an override as the configuration takes it. An empty list reaches a node as a value without a type."""
    if value is None:
        return ()
    return value if isinstance(value, (bool, int, float, str)) else list(value)


def _declare_field(node: Node, section_name: str, section: Any, field: dataclasses.Field[Any]) -> None:
    hint = typing.get_type_hints(type(section))[field.name]
    value = getattr(section, field.name)
    value = list(value) if isinstance(value, tuple) else value
    node.declare_parameter(f"{section_name}.{field.name}", value, _descriptor(field, hint), ignore_override=True)


def _descriptor(field: dataclasses.Field[Any], hint: type) -> ParameterDescriptor:
    metadata = field.metadata
    low, high, choices = metadata.get("minimum"), metadata.get("maximum"), metadata.get("choices")
    descriptor = ParameterDescriptor(description=metadata["help"], read_only=not metadata["adjustable"])
    if choices:
        descriptor.additional_constraints = f"one of {', '.join(choices)}"
    elif low is not None and high is not None:
        if hint is int:
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        else:
            descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    elif low is not None or high is not None:
        descriptor.additional_constraints = f"at most {high}" if low is None else f"at least {low}"
    return descriptor
