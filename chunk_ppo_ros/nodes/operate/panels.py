"""Writes the numbers of the screen as lines of text, each short enough for half of a terminal of 80 columns."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable

from textual.content import Content

from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.evaluation.statistics import success_interval
from chunk_ppo_ros.nodes.common.sensors.sensor_ages import SensorAge, read_ages
from chunk_ppo_ros.nodes.operate.actions.commands import with_keys
from chunk_ppo_ros.nodes.operate.intake import PLAYER
from chunk_ppo_ros.nodes.operate.picture import Answer, Level, Picture, Status
from chunk_ppo_ros.rewards.bookkeeping.episode_counts import PromptCounts
from chunk_ppo_ros.rewards.bookkeeping.run_times import Times
from chunk_ppo_ros.robot.leaders.handover import Leaders

OLD = 1.0
"""A sensor whose newest reading is older, s, is marked."""
NOT_KNOWN = "not told yet"
BAD_ENDS = ("REFUSED", "FAULT", "LIMITED")


@dataclasses.dataclass(frozen=True)
class Panel:
    """A titled part of the screen: how it is named, and what writes its lines of a width."""

    name: str
    title: str
    lines: Callable[[Picture, int], list[str]]


def fitted(text: str, width: int) -> str:
    """Returns a text that is not wider than `width` cells of a terminal, with an ellipsis where something is cut off.

    A Chinese character takes two cells.
    """
    return Content(text).truncate(max(0, width), ellipsis=True).plain


def duration(seconds: float) -> str:
    """Returns a time as hours, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def rate(counts: PromptCounts) -> str:
    """Returns the success rate of the policy's own episodes with its 95 % interval."""
    total = counts.num_by_policy
    if not total:
        return "none ended yet"
    low, high = success_interval(counts.num_success, total)
    share = counts.num_success / total
    return f"{counts.num_success}/{total} = {share:.0%} [{100 * low:.0f}, {100 * high:.0f}]"


def episode_lines(picture: Picture, width: int) -> list[str]:
    """Returns the counts and the success rate of all prompts together and of each."""
    if picture.episode is None:
        return [NOT_KNOWN]
    counts = picture.episode.counts
    total = _sum(counts)
    lines = [fitted(f"success {rate(total)}", width)]
    if len(counts) > 1:
        for each in counts:
            text = rate(each)
            lines.append(f" {fitted(each.prompt, max(8, width - len(text) - 2))} {text}")
    lines.append(f"failure {total.num_failure}  time limit {total.num_time_limit}")
    lines.append(f"apart: taken over {total.num_intervened}, discarded {total.num_discarded}")
    if total.num_interrupted:
        lines.append(fitted(f"interrupted by the death of a node {total.num_interrupted}", width))
    return lines


def _sum(counts: Iterable[PromptCounts]) -> PromptCounts:
    each = list(counts)
    names = [field.name for field in dataclasses.fields(PromptCounts) if field.name != "prompt"]
    return PromptCounts("", **{name: sum(getattr(one, name) for one in each) for name in names})


def training_lines(picture: Picture, width: int) -> list[str]:
    """Returns the rollout, the newest chunk, how the last ones ended, and how stale the policy acts."""
    if picture.is_deployment:
        return [fitted(line, width) for line in _deployment_lines(picture)]
    rollout, chunk = picture.rollout, picture.chunk
    lines = [f"rollout {NOT_KNOWN}"]
    if rollout is not None:
        lines = [f"rollout {rollout.num_accepted} of {rollout.num_required}   policy version {rollout.version}"]
    if chunk is None:
        return [*lines, "no chunk yet"]
    behind = "? versions" if rollout is None else count_of(max(0, rollout.version - chunk.policy_version), "version")
    who = "you" if chunk.human else f"v{chunk.policy_version}"
    lines.append(f"chunk {chunk.sequence_number} of {who}: V(s) {chunk.value:.2f}, {count_of(chunk.num_steps, 'step')}")
    age = "?" if picture.start_age is None else f"{picture.start_age:.2f} s"
    lines.append(f"stale: {behind}, {age} at start")
    return [fitted(line, width) for line in [*lines, f"ended {_ends(picture)}"]]


def _deployment_lines(picture: Picture) -> list[str]:
    """Returns what a run without a trainer does.

    By the version or V(s) an operator could tell which of two checkpoints acts.
    """
    chunk, age = picture.chunk, picture.start_age
    newest = "no chunk yet"
    if chunk is not None:
        who = "you" if chunk.human else "the policy"
        newest = f"chunk {chunk.sequence_number} of {who}: {count_of(chunk.num_steps, 'step')}"
    observed = "?" if age is None else f"{age:.2f} s"
    return ["none: a checkpoint acts", newest, f"observation {observed} old at start", f"ended {_ends(picture)}"]


def _ends(picture: Picture) -> str:
    """Returns how the last chunks ended, equal ones counted together, the newest first."""
    groups: list[tuple[str, int]] = []
    for end in reversed(picture.ends):
        word = end.status if end.valid or end.status in BAD_ENDS else f"{end.status} not valid"
        if groups and groups[-1][0] == word:
            groups[-1] = (word, groups[-1][1] + 1)
        else:
            groups.append((word, 1))
    return ", ".join(f"{count} {word}" if count > 1 else word for word, count in groups) or "none yet"


LEADERS = {
    Leaders.FREE: "free",
    Leaders.ALIGNING: "ALIGNING",
    Leaders.HOLDING: "HOLDING",
    Leaders.LIMP: "limp, followed",
}


def robot_lines(picture: Picture, width: int) -> list[str]:
    """Returns who drives, the emergency stop, and what the limits and checks of the robot counted."""
    lines = [f"driver {NOT_KNOWN}"]
    if picture.driver is not None:
        who = "A HUMAN" if picture.driver.human else "the policy"
        lines = [f"driver: {who}   leaders: {LEADERS[picture.driver.leaders]}"]
    stop = NOT_KNOWN if picture.stopped is None else "YES" if picture.stopped else "no"
    lines.append(f"emergency stop: {stop}   holds: {picture.num_holds}")
    player = picture.statuses.get(PLAYER)
    if player is None:
        return [*lines, f"robot_node {NOT_KNOWN}"]
    values = player.values
    counted = [f"{name} {values.get(f'chunks_{name.lower()}', '?')}" for name in BAD_ENDS]
    lines.append("  ".join(counted))
    lines.append(f"limited steps {values.get('num_clamped_steps', '?')} of {values.get('num_steps', '?')}")
    return [fitted(line, width) for line in [*lines, f"robot: {player.message}"]]


def sensor_lines(picture: Picture, width: int) -> list[str]:
    """Returns the ages of all sensors, in two columns, with a mark at those that are old."""
    ages: dict[str, SensorAge] = {}
    for name in (PLAYER, "policy_node"):
        status = picture.statuses.get(name)
        ages |= {age.name: age for age in read_ages(status.values)} if status is not None else {}
    if not ages:
        return [NOT_KNOWN]
    texts = [_age(ages[name]) for name in sorted(ages)]
    half = (width - 1) // 2
    if max(map(len, texts)) > half:
        return [fitted(text, width) for text in texts]
    pairs = [texts[start : start + 2] for start in range(0, len(texts), 2)]
    return [" ".join(text.ljust(half) for text in pair).rstrip() for pair in pairs]


SHORT = {"cam_": "", "left_wrist": "l wrist", "right_wrist": "r wrist", "_": " "}
"""What is written shorter in the names of sensors."""


def _age(age: SensorAge) -> str:
    name = age.name
    for long, short in SHORT.items():
        name = name.replace(long, short)
    if math.isnan(age.seconds):
        return f"{name} NONE!"
    seconds = max(0.0, age.seconds) if age.seconds > -OLD else age.seconds
    return f"{name} {seconds:.2f}{'!' if abs(seconds) > OLD else ''}"


def time_lines(picture: Picture, width: int) -> list[str]:
    """Returns where the time of the run went, the parts in percent of the whole."""
    if picture.episode is None:
        return [NOT_KNOWN]
    times: Times = picture.episode.times
    whole = max(times.wall, 1e-9)
    shares = {
        "moving": times.motion,
        "running": times.running,
        "reset": times.resetting,
        "ready": times.ready,
        "pause": times.paused,
        "train": times.waiting_for_trainer,
    }
    texts = [f"{name} {seconds / whole:.0%}" for name, seconds in shares.items()]
    return [fitted(f"{duration(times.wall)}  {' '.join(texts[:2])}", width), fitted(" ".join(texts[2:]), width)]


def answer_line(answer: Answer | None, *, now: float) -> str:
    """Returns what was asked last and the answer. `now` is the steady time, s."""
    if answer is None:
        return "Nothing was asked yet."
    if answer.success is None:
        return f"{answer.clock} {answer.asked}: waits for the answer since {now - answer.since:.0f} s"
    return f"{answer.clock} {answer.asked}: {'YES' if answer.success else 'NO'}, {answer.message}"


def warning_lines(picture: Picture) -> list[str]:
    """Returns what is wrong, the worst first: nodes that have gone, the pedals, and statuses of /diagnostics."""
    lines = [f"GONE {name} was here and is not any more" for name in picture.gone]
    lines += [f"PEDAL {text}" if "pedal" in text or "button" in text else f"WARN {text}" for text in picture.problems]
    bad = sorted(
        (status for status in picture.statuses.values() if status.level > Level.OK),
        key=lambda status: (-status.level, status.name),
    )
    texts = [(status, _message(status)) for status in bad]
    return lines + [f"{status.level.name} {status.name}: {with_keys(text)}" for status, text in texts if text]


def _message(status: Status) -> str:
    """Returns what a status says, without what reward_node waits for, which stands largest on the screen."""
    awaited, command = status.values.get("waits for", ""), status.values.get("command", "")
    if not awaited:
        return status.message
    episode, *others = status.message.replace(f"; waits for {awaited}: {command}", "").split("; ")
    return "; ".join([episode, *others]) if others else ""


def call_lines(picture: Picture) -> list[str]:
    """Returns what operators asked of the nodes lately, the newest first."""
    return [answer_line(call, now=0.0) for call in reversed(picture.calls)]


PANELS = (
    Panel("episodes", "EPISODES", episode_lines),
    Panel("training", "TRAINING", training_lines),
    Panel("robot", "ROBOT (since its start)", robot_lines),
    Panel("sensors", "AGE OF SENSORS, s", sensor_lines),
    Panel("times", "TIME OF THE RUN", time_lines),
)
