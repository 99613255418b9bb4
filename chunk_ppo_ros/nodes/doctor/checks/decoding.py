"""Checks whether cv_bridge, where it is installed, would decode images as this package does."""

from __future__ import annotations

from collections.abc import Iterator

from chunk_ppo_ros.core.findings.finding import Finding, ok, skipped, warn
from chunk_ppo_ros.nodes.doctor.facts import Facts


def cv_bridge(facts: Facts) -> Iterator[Finding]:
    """Says how cv_bridge did in its self-test. This package decodes images by itself, whatever the outcome is."""
    if not facts.cv_bridge.is_installed:
        yield skipped("cv_bridge", "it is not installed; this package does not need it")
    elif facts.cv_bridge.problem:
        advice = "other programs that use it may fail; this package decodes images by itself"
        yield warn("cv_bridge", facts.cv_bridge.problem, advice)
    else:
        yield ok("cv_bridge", "it gives the same arrays as this package, which decodes images by itself")


CHECKS = (cv_bridge,)
