"""Writes the page of a run, `report.html`: one file that loads nothing from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.core.errors import EpisodesError, UserError
from chunk_ppo_ros.data.chunk_sample import journal_sample, sample_files
from chunk_ppo_ros.data.chunk_sample.facts import ChunkSample
from chunk_ppo_ros.data.video import Video
from chunk_ppo_ros.reporting.curves.episodes import WINDOW
from chunk_ppo_ros.reporting.distributions.section import distributions
from chunk_ppo_ros.reporting.page.assets import script, style
from chunk_ppo_ros.reporting.page.changed_settings import nearest_preset
from chunk_ppo_ros.reporting.page.chart import Chart, charts_data
from chunk_ppo_ros.reporting.page.headline import evaluation_table, headline
from chunk_ppo_ros.reporting.page.histograms import histograms
from chunk_ppo_ros.reporting.page.html import Html, Section, data_uri, escaped, joined, section, table, tag, with_links
from chunk_ppo_ros.reporting.page.provenance import configuration, provenance
from chunk_ppo_ros.reporting.page.run_charts import main_charts, other_charts
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.reporting.page.strips import jpeg_uri, strips
from chunk_ppo_ros.reporting.prompt_tables import HEADER, prompt_rows
from chunk_ppo_ros.reporting.time_section import OVERLAP_NOTE, time_rows

PAGE_NAME = "report.html"
"""The name of the page in the folder of the run."""
VIDEOS = {"before.mp4": "before PPO", "after.mp4": "after PPO"}
"""The videos in the folder of the run that the page shows, and what they show."""
_MAX_VIDEO = 4 * 2**20  # bytes; a larger video would make the page slow to open
_FIRST_TIME = 0.5  # s; the latest time of the first frame of a video


def write_page(run: RunData, *, plot: Path, now: float | None = None) -> Path:
    """Writes the page of a run into its folder and returns its path.

    Args:
        run: the run.
        plot: picture of the learning curve, which a browser without scripts shows.
        now: time of writing, s since 1970; the present one where not given.

    Raises:
        OSError: when the folder cannot be written.
    """
    content = _page(run, plot, time.time() if now is None else now)
    path = run.folder / PAGE_NAME
    write_atomically(path, lambda file: file.write(content.encode()), durable=False)
    return path


def document(title: str, body: Html, charts: Sequence[Chart]) -> Html:
    """Returns a whole HTML file with its style and its scripts.

    Args:
        title: title of the window.
        body: content of the page, with the places of the charts.
        charts: the charts.

    Raises:
        FileNotFoundError: when a file of the page is not installed.
    """
    return joined(
        [
            Html('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'),
            Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            tag("title", title),
            style(),
            Html("</head>\n<body>"),
            body,
            charts_data(charts),
            script(),
            Html("</body>\n</html>\n"),
        ]
    )


def _page(run: RunData, plot: Path, now: float) -> Html:
    shown, others = main_charts(run), other_charts(run)
    env = run.config["env"]
    task = f"Task {env['task']}, simulator {env['simulator']}, settings {nearest_preset(run.config)}."
    elements = [chart.element(number) for number, chart in enumerate([*shown, *others])]
    places = tag("div", *elements[: len(shown)], class_="charts"), tag("div", *elements[len(shown) :], class_="charts")
    rest = (
        [tag("details", tag("summary", f"{len(others)} further metrics"), places[1], class_="further")]
        if others
        else []
    )
    sections = [
        *_videos(run.folder),
        section("Curves", places[0], *rest, _without_script(plot), anchor="curves"),
        *_sections_of_chunks(run),
        section("Distributions from update to update", distributions(run), anchor="distributions"),
        *_evaluations(run),
        *_times(run),
        *_prompts(run),
        section("Settings", configuration(run), anchor="settings"),
        section("Where this run comes from", provenance(run), anchor="provenance"),
    ]
    head = [tag("h1", run.name), tag("p", task, class_="soft"), headline(run, now=now)]
    return document(run.name, joined([*head, with_links(sections)]), [*shown, *others])


def _without_script(plot: Path) -> Html:
    """Returns the learning curve as a picture, in the place of the curves where a browser runs no scripts."""
    if not plot.is_file():
        return Html("")
    source = escaped(data_uri(plot.read_bytes(), "image/png"))
    hidden = "<style>.charts, .further { display: none }</style>"
    return Html(f'<noscript>{hidden}<img src="{source}" alt="The learning curve of the run"></noscript>')


def _sections_of_chunks(run: RunData) -> list[Section]:
    """Returns histograms and episodes, or the reason why there are none."""
    try:
        sample = read_sample(run)
    except (OSError, ValueError, UserError) as error:
        problem = f"The stored chunks cannot be read: {error}"
        return [section("Chunks", tag("p", problem, class_="warning"), anchor="chunks")]
    if sample is None:
        return [section("Chunks", tag("p", "No chunk of this run is stored yet.", class_="empty"), anchor="chunks")]
    note = tag("p", sample.note, class_="note")
    return [
        section("Episodes, chunk by chunk", strips(sample), anchor="episodes"),
        section("Distributions over the newest chunks", note, histograms(sample.chunks), anchor="newest-chunks"),
    ]


def read_sample(run: RunData) -> ChunkSample | None:
    """Returns what is known of single chunks of a run: of the graph's store, else of the files of the script form.

    Raises:
        OSError, ValueError, UserError: when they cannot be read.
    """
    return journal_sample.read_sample(run.folder, run.run_id) or sample_files.read_sample(run.folder, run.run_id)


def _videos(folder: Path) -> list[Section]:
    found = [(folder / name, text) for name, text in VIDEOS.items() if (folder / name).is_file()]
    figures = [_video(path, text) for path, text in found if path.stat().st_size <= _MAX_VIDEO]
    if not figures:
        return []
    note = tag("p", "Both episodes begin at the same unseen start. The policy decodes greedily.", class_="note")
    return [section("An episode on video", note, tag("div", *figures, class_="videos"), anchor="videos")]


def _video(path: Path, text: str) -> Html:
    """Returns a video with its first frame as its picture, because phones show none before it is played."""
    title = tag("h3", text[0].upper() + text[1:])
    try:
        poster = jpeg_uri(Video(path).frame_at(0.0, tolerance=_FIRST_TIME))
    except EpisodesError as error:
        return tag("figure", title, tag("p", f"The video cannot be shown: {error}", class_="warning"))
    source = data_uri(path.read_bytes(), "video/mp4")
    attributes = f'poster="{escaped(poster)}" src="{escaped(source)}"'
    player = Html(f'<video controls muted loop playsinline preload="metadata" {attributes}></video>')
    return tag("figure", title, player)


def _evaluations(run: RunData) -> list[Section]:
    if not run.evaluations:
        return []
    told = "Each checkpoint was measured on unseen starts."
    shown, count = len(run.evaluations), run.num_evaluations
    told += f" Of {count} evaluations, the first one and the newest {shown - 1} are shown." if shown < count else ""
    note = tag("p", told, class_="note")
    return [section("Evaluations", note, evaluation_table(run.evaluations), anchor="evaluations")]


def _times(run: RunData) -> list[Section]:
    rows = time_rows(run.timed, run.updates, in_lockstep=run.is_in_lockstep)
    if not rows:
        return []
    cells = [(row.text, row.minutes, row.share) for row in rows]
    content = table(("", "minutes", "share of the run"), cells, kind="plain")
    note = [tag("p", OVERLAP_NOTE, class_="note")] if any(row.overlaps for row in rows) else []
    return [section("Where the time went", content, *note, anchor="time")]


def _prompts(run: RunData) -> list[Section]:
    rows = prompt_rows(run.episodes)
    if not rows:
        return []
    note = tag("p", f"The first and the last episodes of a prompt are up to {WINDOW}, and at most half of them.")
    return [section("Prompts", note, table(HEADER, rows, kind="plain"), anchor="prompts")]
