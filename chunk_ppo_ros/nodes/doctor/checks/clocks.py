"""Compares the clock of this machine with the stamps of joint states and images."""

from __future__ import annotations

from collections.abc import Iterator

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, skipped, warn
from chunk_ppo_ros.nodes.doctor.checks.looking import NOT_LOOKED
from chunk_ppo_ros.nodes.doctor.facts import Facts
from chunk_ppo_ros.nodes.doctor.graph_facts import TopicFacts

AHEAD = 0.02
"""How far stamps may be ahead of this clock, s."""
ADVICE = "synchronize the clocks of the machines (chrony), and look at the load of this one"


def skew(facts: Facts) -> Iterator[Finding]:
    """Says how old the messages are by this clock when they arrive. Much, or less than nothing, is a skewed clock."""
    if facts.graph is None:
        yield skipped("stamps", NOT_LOOKED)
        return
    if facts.config.env.is_lockstep:
        yield skipped("stamps", "in lockstep they are of simulated time")
        return
    joints = [arm.topic for arm in facts.graph.followers]
    images = [image.topic for image in facts.graph.images]
    if not any(topic.ages for topic in (*joints, *images)):
        yield skipped("stamps", "neither joint states nor images came")
    for topics, limit, setting in (
        (joints, facts.config.robot.state_timeout, "robot.state_timeout"),
        (images, facts.config.robot.max_observation_age, "robot.max_observation_age"),
    ):
        yield from (_skew(topic, limit, setting) for topic in topics if topic.ages)


def _skew(topic: TopicFacts, limit: float, setting: str) -> Finding:
    name, found = f"age of {topic.name}", f"{topic.age * 1e3:.1f} ms when it arrives"
    if topic.age < -AHEAD:
        return error(name, f"{found}: its stamps are in the future", ADVICE)
    if topic.age > limit:
        return error(name, f"{found}, where {setting} is {limit:g} s", ADVICE)
    if topic.age > limit / 2:
        return warn(name, f"{found}, more than half of {setting} ({limit:g} s)", ADVICE)
    return ok(name, found)


CHECKS = (skew,)
