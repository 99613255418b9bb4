"""Draws facts about a run below an image of a camera."""

from __future__ import annotations

import bisect
import dataclasses
import functools
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.nodes.common.newest_chunk import NewestChunk
from chunk_ppo_ros.reporting.fonts.font_choice import ADVICE, drawable, font_of

WIDTH = 640
"""The width of the drawn picture, pixels. The images of a small model would be too small to read text below them."""
TEXT_SIZE = 17
MARGIN = 8
LINE_HEIGHT = 23
QUALITY = 80
"""The quality of the JPEG."""
BACKGROUND, TEXT, WAITING, SOLVED = (24, 26, 30), (230, 232, 235), (255, 190, 70), (110, 220, 130)


@dataclasses.dataclass(frozen=True)
class ViewFacts:
    """What stands below the image.

    Attributes:
        prompt: the task in words.
        episode: the number of the episode in the run.
        phase: where the episode is, such as "RUNNING".
        num_chunks: executed chunks of the episode.
        num_steps: executed control steps of the episode.
        total_reward: the reward of the episode so far.
        num_solved: episodes of the run that the policy solved.
        num_episodes: episodes of the run that the policy brought to an end.
        was_solved: whether the newest ended episode was solved, or None before any.
        waits_for: what is waited for; empty where nothing is.
        command: the command that ends the wait; empty where none does.
        chunk: the newest chunk, or None before any.
    """

    prompt: str = ""
    episode: int = 0
    phase: str = "IDLE"
    num_chunks: int = 0
    num_steps: int = 0
    total_reward: float = 0.0
    num_solved: int = 0
    num_episodes: int = 0
    was_solved: bool | None = None
    waits_for: str = ""
    command: str = ""
    chunk: NewestChunk | None = None


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of text and its color."""

    text: str
    color: tuple[int, int, int] = TEXT


@dataclasses.dataclass(frozen=True)
class DrawnLine:
    """A line of text as it is drawn: its color and the file of its font."""

    text: str
    color: tuple[int, int, int]
    font: Path


@functools.cache
def _font(path: Path) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, TEXT_SIZE)


def facts_lines(facts: ViewFacts) -> list[Line]:
    """Returns the lines that say the facts, before they are wrapped."""
    where = f"episode {facts.episode} {facts.phase} · chunk {facts.num_chunks} · step {facts.num_steps}"
    lines = [Line(facts.prompt or "no prompt yet"), Line(f"{where} · reward {facts.total_reward:.2f}")]
    if facts.chunk is not None:
        who = " · a human drives" if facts.chunk.human else ""
        lines.append(Line(f"value {facts.chunk.value:.2f} · policy version {facts.chunk.policy_version}{who}"))
    if facts.num_episodes:
        last = {True: "; the last one was solved", False: "; the last one was not", None: ""}[facts.was_solved]
        color = SOLVED if facts.was_solved else TEXT
        lines.append(Line(f"{facts.num_solved} of {count_of(facts.num_episodes, 'episode')} solved{last}", color))
    if facts.waits_for:
        command = f": {facts.command}" if facts.command else ""
        lines.append(Line(f"waits for {facts.waits_for}{command}", WAITING))
    return lines


def drawable_lines(facts: ViewFacts) -> list[Line]:
    """Returns the lines as fonts of this machine can draw them, and advice where characters are left out."""
    lines = facts_lines(facts)
    drawn = [Line(drawable(line.text), line.color) for line in lines]
    return drawn if drawn == lines else [*drawn, Line(ADVICE, WAITING)]


def wrapped(line: Line, width: float) -> list[DrawnLine]:
    """Returns a line as several that are not wider than `width` pixels, all in the font of the whole line.

    They are broken between words where there are words, and between characters where there are none, as in Chinese.
    """
    found, rest, font = [], line.text, font_of(line.text)
    while rest:
        end = _first_end(rest, width, _font(font))
        found.append(DrawnLine(rest[:end], line.color, font))
        rest = rest[end:].lstrip(" ")
    return found


def _first_end(text: str, width: float, font: ImageFont.FreeTypeFont) -> int:
    """Returns how many characters of a text the first of its lines has, at least one."""
    fitting = bisect.bisect_right(range(len(text) + 1), width, key=lambda count: font.getlength(text[:count])) - 1
    if fitting >= len(text):
        return len(text)
    space = text.rfind(" ", 0, fitting + 1)
    return space if space > 0 else max(fitting, 1)


def annotate(image: np.ndarray, facts: ViewFacts) -> Image.Image:
    """Returns the image with the facts below it, so that they hide nothing of it.

    Args:
        image: uint8 [h, w, 3], RGB.
        facts: what is written.
    """
    height = round(image.shape[0] * WIDTH / image.shape[1])
    lines = [part for line in drawable_lines(facts) for part in wrapped(line, WIDTH - 2 * MARGIN)]
    canvas = Image.new("RGB", (WIDTH, height + 2 * MARGIN + LINE_HEIGHT * len(lines)), BACKGROUND)
    canvas.paste(Image.fromarray(image).resize((WIDTH, height), Image.Resampling.BILINEAR))
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        place = MARGIN, height + MARGIN + number * LINE_HEIGHT
        draw.text(place, line.text, font=_font(line.font), fill=line.color)
    return canvas


def to_jpeg(picture: Image.Image) -> bytes:
    """Returns a picture as the bytes of a JPEG."""
    file = io.BytesIO()
    picture.save(file, format="JPEG", quality=QUALITY)
    return file.getvalue()
