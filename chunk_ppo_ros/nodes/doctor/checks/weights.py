"""Checks whether a checkpoint, its statistics and the settings belong together."""

from __future__ import annotations

from collections.abc import Iterator

from chunk_ppo_ros.config import to_dict
from chunk_ppo_ros.config.parameter_file import flatten
from chunk_ppo_ros.core.findings.finding import Finding, error, ok, skipped, warn
from chunk_ppo_ros.nodes.doctor.facts import Facts

MEANING = (
    "model.action_dim",
    "model.action_horizon",
    "model.cameras",
    "model.delta_actions",
    "model.adapt_to_pi",
    "model.adapt_gripper",
    "model.adapt_gripper_numbers",
    "robot.gripper_convention",
    "robot.gripper_numbers",
    "robot.control_rate",
)
"""The settings that decide what the numbers of a state or an action mean, and which images the policy sees."""
NARROW = 0.01
"""A range of a dimension below which the statistics would blow noise up, rad or normalized."""


def checkpoint(facts: Facts) -> Iterator[Finding]:
    """Says whether the checkpoint opens, and its statistics with it."""
    weights, name = facts.weights, "checkpoint"
    if weights is None:
        yield skipped(name, "no checkpoint is named by run.pretrained_checkpoint_path")
    elif weights.problem:
        yield error(name, weights.problem, "correct run.pretrained_checkpoint_path, or run.asset_id")
    else:
        yield ok(name, f"{weights.path} opens, {weights.size / 1e9:.2f} GB")


def statistics(facts: Facts) -> Iterator[Finding]:
    """Compares the statistics with the dimensions of the model, and looks for dimensions that never moved."""
    weights, name, dim = facts.weights, "statistics", facts.config.model.action_dim
    if weights is None or weights.problem:
        yield skipped(name, "there is no checkpoint that opens")
        return
    found = f"{weights.state_dim} dimensions of states and {weights.action_dim} of actions"
    if (weights.state_dim, weights.action_dim) != (dim, dim):
        advice = "take the norm_stats.json of this robot, or set model.action_dim"
        yield error(name, f"{found}, where model.action_dim is {dim}", advice)
        return
    still = [str(index) for index, width in enumerate(weights.ranges) if width < NARROW]
    if still:
        advice = "make norm_stats.json from episodes in which they move (norm-stats)"
        yield warn(name, f"dimensions {', '.join(still)} of the states hardly move in them", advice)
    else:
        yield ok(name, found)


def settings(facts: Facts) -> Iterator[Finding]:
    """Compares what the numbers of the policy mean in the checkpoint with the present settings."""
    weights, name = facts.weights, "settings"
    if weights is None or weights.problem:
        yield skipped(name, "there is no checkpoint that opens")
        return
    now, then = flatten(to_dict(facts.config)), weights.settings
    known = [setting for setting in MEANING if setting in then]
    if not known:
        yield skipped(name, "the checkpoint does not say its settings; openpi's do not")
        return
    changed = [setting for setting in known if _plain(then[setting]) != _plain(now[setting])]
    for setting in changed:
        found = f"{setting} was {then[setting]!r} when the weights were trained, and is {now[setting]!r} now"
        yield error(name, found, f"set {setting} as it was, or take another checkpoint")
    if not changed:
        yield ok(name, f"{len(known)} settings that give the policy's numbers their meaning are as they were")


def _plain(value: object) -> object:
    """Returns a value as JSON would give it back, where sequences are lists."""
    return list(value) if isinstance(value, tuple) else value


CHECKS = (checkpoint, statistics, settings)
