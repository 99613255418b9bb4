"""Draws recorded episodes: the first and the last frame of each camera, and below them the curves of the joints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.checks.dimensions import arm_joints, is_whole_arms, names_of
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.reporting.plots import save
from chunk_ppo_ros.robot import aloha

COLUMNS = 7
"""The number of curves beside each other: the joints of an arm and its gripper."""

STATE_COLOR, ACTION_COLOR, LIMIT_COLOR = "#1f5fa8", "#c4501b", "#808080"


def draw_episodes(path: Path, episodes: Sequence[Episode]) -> None:
    """Writes a PNG with a part for each episode.

    Args:
        path: the file to write; an existing file is replaced.
        episodes: the episodes, at least one.
    """
    heights = [_height(episode) for episode in episodes]
    figure = Figure(figsize=(17.0, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(episodes), 1, squeeze=False, height_ratios=heights)
    for part, episode in zip(parts.ravel(), episodes, strict=True):
        _draw(part, episode)
    save(figure, path, dpi=90)


def num_panels(episode: Episode) -> int:
    """Returns the number of panels of an episode: two frames for each camera, and a curve for each dimension."""
    return 2 * len(episode.cameras) + max(episode.states.shape[1], episode.actions.shape[1])


def _height(episode: Episode) -> float:
    return (2.3 if episode.cameras else 0.0) + 1.9 * _num_rows(episode) + 0.5


def _num_rows(episode: Episode) -> int:
    return -(-max(episode.states.shape[1], episode.actions.shape[1]) // COLUMNS)


def _draw(part: SubFigure, episode: Episode) -> None:
    prompt = f" - {episode.prompt}" if episode.prompt else ""
    title = f"{episode.source}: {len(episode)} steps at {episode.rate:g} Hz{prompt}".replace("$", r"\$")
    part.suptitle(title, fontsize=11, fontweight="bold")
    rows = _num_rows(episode)
    if not episode.cameras:
        _draw_curves(part, episode)
        return
    halves = part.subfigures(2, 1, squeeze=False, height_ratios=[2.3, 1.9 * rows]).ravel()
    _draw_frames(halves[0], episode)
    _draw_curves(halves[1], episode)


def _draw_frames(part: SubFigure, episode: Episode) -> None:
    steps = range(len(episode)) if episode.image_steps is None else episode.image_steps.tolist()
    panels = part.subplots(1, 2 * len(episode.cameras), squeeze=False).ravel()
    for number, (name, read) in enumerate(episode.cameras.items()):
        for offset, step in enumerate((steps[0], steps[-1]) if len(steps) else ()):
            panel = panels[2 * number + offset]
            panel.set_title(f"{name}, step {step}".replace("$", r"\$"), fontsize=8)
            panel.axis("off")
            try:
                panel.imshow(read(int(step)))
            except EpisodesError as error:
                panel.text(0.5, 0.5, f"cannot be read:\n{str(error)[:80]}", ha="center", va="center", fontsize=6)


def _draw_curves(part: SubFigure, episode: Episode) -> None:
    dims = (episode.states.shape[1], episode.actions.shape[1])
    panels = part.subplots(_num_rows(episode), COLUMNS, sharex=True, squeeze=False).ravel()
    for index, panel in enumerate(panels):
        if index >= max(dims):
            panel.remove()
            continue
        _draw_curve(panel, episode, index, dims)
    handles, labels = panels[0].get_legend_handles_labels()
    part.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)


def _draw_curve(panel: Axes, episode: Episode, index: int, dims: tuple[int, int]) -> None:
    known = is_whole_arms(dims)
    is_joint = known and index in arm_joints(dims[0])
    scale, unit = (180.0 / np.pi, "deg") if is_joint else (1.0, "opening" if known else "as recorded")
    seconds = np.arange(len(episode)) / episode.rate
    marker = "." if len(episode) == 1 else ""
    if index < dims[1]:
        panel.plot(seconds, episode.actions[:, index] * scale, marker=marker, color=ACTION_COLOR, label="action")
    if index < dims[0]:
        panel.plot(seconds, episode.states[:, index] * scale, marker=marker, color=STATE_COLOR, label="state", lw=1.2)
    if known:
        _draw_limits(panel, aloha.LOWER_LIMITS[index] * scale, aloha.UPPER_LIMITS[index] * scale)
    panel.set_title(f"{names_of(max(dims))[index]}, {unit}", fontsize=8)
    panel.tick_params(labelsize=7)
    panel.grid(alpha=0.3)
    if index >= max(dims) - COLUMNS:
        panel.set_xlabel("time, s", fontsize=8)
        panel.tick_params(labelbottom=True)


def _draw_limits(panel: Axes, low: float, high: float) -> None:
    """Draws the limits where they are near the curves; far ones would flatten the curves."""
    bottom, top = panel.get_ylim()
    room = max(top - bottom, 0.05 * (high - low))
    for number, limit in enumerate((low, high)):
        near = bottom - room <= limit <= top + room
        label = "limit of the robot" if number == 0 else None
        if near:
            panel.axhline(limit, color=LIMIT_COLOR, linestyle="--", linewidth=1.0, label=label)
        elif label:
            panel.plot([], [], color=LIMIT_COLOR, linestyle="--", linewidth=1.0, label=label)
