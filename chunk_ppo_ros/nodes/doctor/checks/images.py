"""Checks the cameras: whether each sends, on which topic, how fast, and whether its images can be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chunk_ppo_ros.config.entries.cameras import ROBOT_CAMERAS
from chunk_ppo_ros.core.findings.finding import Finding, error, ok, skipped, warn
from chunk_ppo_ros.nodes.doctor.checks.looking import NOT_LOOKED, in_words
from chunk_ppo_ros.nodes.doctor.facts import Facts
from chunk_ppo_ros.nodes.doctor.graph_facts import ImageFacts
from chunk_ppo_ros.robot.camera_watch import DARK_MEAN, DARK_SPREAD
from chunk_ppo_ros.robot.images import ENCODINGS

RATE_PART = 0.5
"""The part of the control rate below which a camera counts as slow."""


def presence(facts: Facts) -> Iterator[Finding]:
    """Says on which topic each camera sends. The name depends on the version of realsense2_camera."""
    if facts.graph is None:
        yield skipped("topics", NOT_LOOKED)
        return
    for camera in wanted_cameras(facts):
        topics = [image for image in facts.graph.images if image.camera == camera]
        sending = [image for image in topics if image.topic.arrivals]
        if sending:
            yield ok(camera, f"sends on {', '.join(image.topic.name for image in sending)}")
        else:
            yield _silent(facts, camera, topics, facts.graph.other_images)


def _silent(facts: Facts, camera: str, topics: Sequence[ImageFacts], others: Sequence[str]) -> Finding:
    published = [image for image in topics if image.topic.publishers]
    if published and facts.config.env.is_lockstep:
        return skipped(camera, "silent; in lockstep a simulator sends images only in answer to commands")
    make = warn if camera in facts.config.robot.optional_cameras else error
    if published:
        names = ", ".join(f"{image.topic.name} ({in_words(image.topic.publishers)})" for image in published)
        return make(camera, f"nothing comes on {names}", "check its cable and the log of its driver")
    raw = " and ".join(image.topic.name for image in topics if not image.is_compressed)
    found = f"nobody publishes on {raw}"
    near = [name for name in others if camera in name]
    if near:
        return make(camera, f"{found}, but somebody does on {', '.join(near)}", "set robot.image_topic to that name")
    return make(camera, found, "start its driver; its name must be the namespace, or set robot.image_topic")


def rate(facts: Facts) -> Iterator[Finding]:
    """Compares the rates of the cameras with the control rate, and their gaps with what holds the policy."""
    config = facts.config
    for image in _sending(facts):
        topic, name = image.topic, f"rate of {image.camera}"
        found = f"{topic.rate:.1f} Hz, longest gap {topic.longest_gap * 1e3:.0f} ms"
        if config.env.is_lockstep:
            yield skipped(name, "a simulator in lockstep has no rate of its own")
        elif topic.rate == 0.0 or topic.longest_gap > config.env.sensor_timeout:
            advice = "look at its cable, its USB port and the load of this machine"
            yield error(name, f"{found}, where env.sensor_timeout is {config.env.sensor_timeout:g} s", advice)
        elif topic.rate < RATE_PART * config.robot.control_rate:
            advice = "set the rate of its driver to 30 Hz or more, or use a faster USB port"
            yield warn(name, f"{found}, where robot.control_rate is {config.robot.control_rate:g} Hz", advice)
        else:
            yield ok(name, found)


def content(facts: Facts) -> Iterator[Finding]:
    """Says the encoding and the size of each image, and whether it can be decoded and is lit."""
    sizes = {(image.width, image.height) for image in _sending(facts) if not image.problem}
    for image in _sending(facts):
        name = f"image of {image.camera}"
        found = f"{image.width}x{image.height} {image.encoding} on {image.topic.name}, mean {image.mean:.0f} of 255"
        if image.problem:
            advice = f"set the encoding of its driver to one of {', '.join(ENCODINGS)}"
            yield error(name, f"it cannot be decoded: {image.problem}", advice)
        elif image.mean < DARK_MEAN and image.spread < DARK_SPREAD:
            yield error(name, f"{found}: it is dark", "look at its lens, the light and its exposure")
        elif len(sizes) > 1:
            listed = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
            advice = "give all cameras the same profile (depth_module.color_profile of a D405)"
            yield warn(name, f"{found}; the cameras have the sizes {listed}", advice)
        else:
            yield ok(name, found)


def wanted_cameras(facts: Facts) -> list[str]:
    """Returns the names of the cameras on the robot that the model sees."""
    return [ROBOT_CAMERAS[key] for key in facts.config.model.cameras]


def _sending(facts: Facts) -> list[ImageFacts]:
    return [] if facts.graph is None else [image for image in facts.graph.images if image.topic.arrivals]


CHECKS = (presence, rate, content)
