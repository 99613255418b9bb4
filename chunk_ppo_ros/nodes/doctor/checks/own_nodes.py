"""Checks the nodes of this package that run, what they say about themselves, and who publishes beside them."""

from __future__ import annotations

from collections.abc import Iterator

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, skipped, warn
from chunk_ppo_ros.nodes.doctor.checks.looking import NOT_LOOKED
from chunk_ppo_ros.nodes.doctor.facts import Facts
from chunk_ppo_ros.runtime.description import NODES


def presence(facts: Facts) -> Iterator[Finding]:
    """Says which nodes of a run are there."""
    if facts.graph is None:
        yield skipped("graph", NOT_LOOKED)
        return
    wanted = [node.name for node in NODES if node.is_part(facts.config, False)]
    there = [name for name in wanted if name in facts.graph.nodes]
    missing = [name for name in wanted if name not in facts.graph.nodes]
    if not there:
        yield skipped("graph", "no node of this package runs; start the graph when the rest is as it should be")
    elif missing:
        found = f"running: {', '.join(there)}; not running: {', '.join(missing)}"
        yield warn("graph", found, "look into the logs of those nodes, in the folder of the run")
    else:
        yield ok("graph", f"running: {', '.join(there)}")


def health(facts: Facts) -> Iterator[Finding]:
    """Repeats what the nodes say on /diagnostics."""
    for diagnostic in () if facts.graph is None else facts.graph.diagnostics:
        name, advice = f"diagnostics of {diagnostic.node}", "do what its text says; see docs/troubles.md"
        if diagnostic.is_error:
            yield error(name, diagnostic.text, advice)
        elif diagnostic.is_warning:
            yield warn(name, diagnostic.text, advice)
        else:
            yield ok(name, diagnostic.text or "no problem")


def rivals(facts: Facts) -> Iterator[Finding]:
    """Names nodes that publish on a topic on which one node alone may publish."""
    for topic, nodes in () if facts.graph is None else facts.graph.publishers.items():
        if len(nodes) > 1:
            found = f"{', '.join(nodes)} publish on it, and no chunk starts meanwhile"
            yield error(f"publishers of {topic}", found, "stop all but one of them")


CHECKS = (presence, health, rivals)
