"""Says whether what was read of a damaged recording is right: refused in one line, harmless, or one other value."""

from __future__ import annotations

import pathlib

import numpy as np

from fuzz_recordings.byte_faults import Fault
from fuzz_recordings.reading import Reading, SeenEpisode
from fuzz_recordings.samples import Sample

BROKEN = ("traceback", "hung", "died", "wrong")
"""The verdicts that must not occur."""
VERDICTS = ("refused", "harmless", "shorter", "renamed", "other_value", "other_content", *BROKEN)
"""All verdicts.

`renamed` is a damaged name: a camera was found under it and named as unused, or the mark or the prompt is unknown.
"""


def judge(reading: Reading, whole: Reading, fault: Fault, sample: Sample, folder: pathlib.Path) -> tuple[str, str]:
    """Returns a verdict of `VERDICTS`, and why.

    Args:
        reading: what reading the damaged recording gave.
        whole: what reading the recording gave before it was damaged.
        fault: what was done to the recording.
        sample: the kind of the recording.
        folder: the folder of the recording.
    """
    if reading.outcome in BROKEN:
        return reading.outcome, reading.text
    if reading.outcome == "refused" and ("\n" in reading.text or str(folder) not in reading.text):
        return "wrong", f"the error must be one line that names the file, got {reading.text!r}"
    difference = _difference(reading.episodes, whole.episodes, sample)
    if reading.outcome == "refused":
        # Episodes that were read before the damage was met must be right, too.
        return ("refused", reading.text) if not (fault.is_flip and difference == "order") else ("wrong", difference)
    if difference == "same" and len(reading.episodes) == len(whole.episodes):
        return "harmless", ""
    if difference in ("same", "prefix"):
        return _judge_shorter(reading, fault)
    if difference == "renamed" and len(reading.episodes) == len(whole.episodes):
        return "renamed", ""
    if difference == "few values" and len(reading.episodes) == len(whole.episodes):
        return "other_value", ""
    if fault.is_flip or fault.keeps_order:
        return "wrong", f"{difference} differ after {fault.kind}"
    return "other_content", difference


def _judge_shorter(reading: Reading, fault: Fault) -> tuple[str, str]:
    """Judges a recording of which episodes or steps are missing. That must be said, unless a whole file is gone."""
    remarks = [*reading.left_out, *(remark for episode in reading.episodes for remark in episode.remarks)]
    if fault.is_flip and not reading.left_out:
        return "wrong", "episodes or steps are missing after one flipped bit, and nothing says so"
    if fault.kind in ("cut", "empty") and not remarks:
        return "wrong", "episodes or steps are missing, and nothing says so"
    return "shorter", "; ".join(reading.left_out)


def _difference(episodes: tuple[SeenEpisode, ...], whole: tuple[SeenEpisode, ...], sample: Sample) -> str:
    """Returns how episodes differ: "same", "prefix", "few values", "renamed", "many values" or "order".

    A prefix is an episode that ends early.
    """
    by_name = {episode.name: episode for episode in whole}
    if [each.name for each in episodes] != [name for name in by_name if name in {each.name for each in episodes}]:
        return "order"
    found = {_difference_of(each, by_name[each.name], sample) for each in episodes}
    for worst in ("order", "many values", "renamed", "few values", "prefix"):
        if worst in found:
            return worst
    return "same"


def _difference_of(episode: SeenEpisode, whole: SeenEpisode, sample: Sample) -> str:
    length = len(episode.states)
    shapes = (episode.states.shape[1:], episode.actions.shape[1:], episode.rate)
    if length > len(whole.states) or shapes != (whole.states.shape[1:], whole.actions.shape[1:], whole.rate):
        return "order"
    if not _has_same_names(episode, whole):
        # A damaged name takes something away, which the reader finds under the damaged name and does not know.
        is_named = set(episode.unused) - set(whole.unused) or set(episode.images) == set(whole.images)
        return "renamed" if is_named and _has_fewer_names(episode, whole) else "order"
    changed = np.concatenate([episode.states, episode.actions], axis=1) != np.concatenate(
        [whole.states[:length], whole.actions[:length]], axis=1
    )
    images = sum(
        step not in whole.images[camera] or not np.array_equal(image, whole.images[camera][step])
        for camera, steps in episode.images.items()
        if camera in whole.images
        for step, image in steps.items()
    )
    num_rows, num_columns = int(changed.any(axis=1).sum()), int(changed.any(axis=0).sum())
    if num_rows > sample.max_rows or num_columns > 2 * sample.max_columns or images > sample.max_images:
        return "many values"
    if num_rows or images or _num_other_letters(episode.prompt, whole.prompt) == 1:
        return "few values"
    if episode.prompt != whole.prompt:
        return "many values"
    return "same" if length == len(whole.states) else "prefix"


def _has_same_names(episode: SeenEpisode, whole: SeenEpisode) -> bool:
    has_prompt, had_prompt = bool(episode.prompt), bool(whole.prompt)
    return (set(episode.images), episode.success, has_prompt) == (set(whole.images), whole.success, had_prompt)


def _has_fewer_names(episode: SeenEpisode, whole: SeenEpisode) -> bool:
    """Returns whether an episode lacks cameras, the mark or the prompt, and has nothing that the whole one lacks."""
    return set(episode.images) <= set(whole.images) and episode.success in (None, whole.success)


def _num_other_letters(text: str, whole: str) -> int:
    if len(text) != len(whole):
        return max(len(text), len(whole))
    return sum(first != second for first, second in zip(text, whole, strict=True))
