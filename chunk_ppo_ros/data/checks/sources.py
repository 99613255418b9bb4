"""Findings about what was read: formats, episodes, names, prompts, and what is assumed or not used."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.findings.verdicts import DataFinding, Verdict, blocking, fine, hint
from chunk_ppo_ros.core.wording.counts import clause, count_of
from chunk_ppo_ros.data.checks.dimensions import is_whole_arms, names_of
from chunk_ppo_ros.data.checks.survey import EpisodeSummary, Survey
from chunk_ppo_ros.data.episode import camera_names
from chunk_ppo_ros.robot import aloha

MAX_NAMED = 5
"""The number of episodes that a finding names."""


def named(sources: Sequence[str]) -> str:
    """Returns the first names of a list of episodes, and how many more there are."""
    more = len(sources) - MAX_NAMED
    return ", ".join(sources[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def unreadable(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields a finding for each file or folder that cannot be read. The text is that of its reader.

    `--insist` cannot accept it, because there is nothing to use.
    """
    for problem in survey.problems:
        verdict = Verdict.ASK if problem.is_question else Verdict.REFUSE
        yield blocking("unreadable", verdict, problem.text, path=problem.path)


def formats(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields the formats that were found, what the recordings say themselves, and whether there is any episode."""
    counts = collections.Counter(episode.facts.format or "unnamed format" for episode in survey.episodes)
    if not counts:
        if not survey.problems:
            yield blocking("formats", Verdict.REFUSE, "no episode was found, or all are left out", "name others")
        return
    shown = ", ".join(f"{name} ({count_of(number, 'episode')})" for name, number in counts.items())
    said = dict.fromkeys(sentence for episode in survey.episodes for sentence in episode.facts.said)
    yield fine("formats", shown, list(said), formats=dict(counts))


def episodes(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields the number of episodes with their lengths and marks of success, and those of a single step."""
    found = survey.episodes
    if not found:
        return
    steps = sorted(episode.num_steps for episode in found)
    seconds = sum(episode.num_steps / episode.rate for episode in found)
    marks = collections.Counter(episode.success for episode in found)
    single = [episode.source for episode in found if episode.num_steps == 1]
    yield fine(
        "episodes",
        f"{len(found)}, of {steps[0]} to {count_of(steps[-1], 'step')} (median {steps[len(steps) // 2]}), "
        f"{count_of(sum(steps), 'step')}, {seconds:.1f} s; marked as successes: {marks[True]}, as failures: "
        f"{marks[False]}, without a mark: {marks[None]}" + (f"; of a single step: {named(single)}" if single else ""),
        num_episodes=len(found),
        num_steps=sum(steps),
        num_successes=marks[True],
        num_failures=marks[False],
        single_step=single,
    )


def left_out(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields the episodes that are left out, with their reasons."""
    if survey.left_out:
        yield fine(
            "left_out",
            f"{clause(len(survey.left_out), 'episode', 'is', 'are')} left out",
            [str(each) for each in survey.left_out],
            sources=[each.source for each in survey.left_out],
        )


def joints(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields the names and the order of the dimensions, and refuses episodes of different dimensions."""
    by_dims: dict[tuple[int, int], list[EpisodeSummary]] = {}
    for episode in survey.episodes:
        by_dims.setdefault(episode.dims, []).append(episode)
    if len(by_dims) > 1:
        groups = "; ".join(
            f"{dims[0]} and {dims[1]} in {named([each.source for each in group])}" for dims, group in by_dims.items()
        )
        text = f"episodes differ in the dimensions of states and actions: {groups}"
        yield blocking("dimensions", Verdict.REFUSE, text, "leave those of one kind out by --leave_out_episodes")
    for dims, group in by_dims.items():
        recorded = group[0].facts.action_names
        whose = "as the recording names them" if recorded else "which the recording does not name"
        states = ", ".join(group[0].facts.state_names or names_of(dims[0]))
        actions = ", ".join(recorded or names_of(dims[1]))
        known = "" if is_whole_arms(dims) else "; these are not the arms of ALOHA, so no limits are known"
        text = f"{dims[0]} dimensions of states and {dims[1]} of actions, {whose}{known}"
        same = [f"both: {states}"] if states == actions else [f"states: {states}", f"actions: {actions}"]
        yield fine("joints", text, same, state_dim=dims[0], action_dim=dims[1])


def assumed(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields what was assumed because recordings do not say it."""
    sentences = collections.Counter(each for episode in survey.episodes for each in episode.facts.assumed)
    if sentences:
        details = [f"{text} ({count_of(number, 'episode')})" for text, number in sentences.items()]
        yield fine("assumed", f"{count_of(len(details), 'thing')} that the recordings do not say", details)


def unused(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields what the recordings hold and nobody reads."""
    streams = dict.fromkeys(each for episode in survey.episodes for each in episode.facts.unused)
    if streams:
        text = f"{clause(len(streams), 'stream', 'is', 'are')} not used"
        yield fine("unused", text, list(streams), streams=list(streams))


def identical(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Asks about episodes whose states and actions are the same number by number."""
    first: dict[tuple[int, int], str] = {}
    copies: list[str] = []
    for episode in survey.episodes:
        content = (episode.crc, episode.num_steps)
        if content in first and episode.num_steps > 1:
            copies.append(f"{episode.source} is {first[content]}")
        first.setdefault(content, episode.source)
    if copies:
        advice = "leave the copies out by --leave_out_episodes"
        yield hint("identical_episodes", f"episodes are the same as others: {named(copies)}", advice, copies=copies)


def prompts(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields the prompts, and asks for those that are missing."""
    counts = collections.Counter(episode.prompt for episode in survey.episodes)
    missing = [episode.source for episode in survey.episodes if not episode.prompt]
    if missing:
        text = f"{clause(len(missing), 'episode', 'has', 'have')} no prompt: {named(missing)}"
        yield blocking("prompts", Verdict.ASK, text, "say the task by --prompt", missing=missing)
    elif counts:
        shown = ", ".join(f"{prompt!r} ({count_of(number, 'episode')})" for prompt, number in counts.most_common(10))
        yield fine("prompts", shown, prompts=dict(counts))


def cameras(survey: Survey, config: TrainConfig) -> Iterator[DataFinding]:
    """Yields the cameras of the episodes beside those that the model takes, and asks for absent ones."""
    needed = dict(zip(camera_names(config), config.model.cameras, strict=True))
    absent: dict[str, list[str]] = {}
    for episode in survey.episodes:
        for name in sorted(set(needed) - set(episode.cameras)):
            if aloha.ROBOT_CAMERAS[needed[name]] not in config.robot.optional_cameras:
                absent.setdefault(name, []).append(episode.source)
    found = dict.fromkeys(name for episode in survey.episodes for name in episode.cameras)
    shown = ", ".join(found) or "none"
    taken = ", ".join(f"{key} from {name}" for name, key in needed.items() if name in found)
    for name, sources in absent.items():
        robot_name = aloha.ROBOT_CAMERAS[needed[name]]
        yield blocking(
            "cameras",
            Verdict.ASK,
            f"{needed[name]} is to come from {name}, which is not in {named(sources)}; there is {shown}",
            "name the cameras in the order of model.cameras by --episode_cameras, or allow it to be absent by "
            f"--optional_cameras {robot_name}",
            absent=name,
        )
    if survey.episodes and not absent:
        other = [name for name in found if name not in needed]
        rest = f"; not used: {', '.join(other)}" if other else ""
        yield fine("cameras", f"the model takes {taken or 'none'}{rest}", cameras=list(found), unused=other)
