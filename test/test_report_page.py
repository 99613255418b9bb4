"""Tests the page of a run: what it shows, what it escapes, and that it loads nothing from elsewhere."""

from __future__ import annotations

import base64
import dataclasses
import html.parser
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.config import flags
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.types import ObservationSource, Transition
from chunk_ppo_ros.data.chunk_sample import sample_files
from chunk_ppo_ros.data.chunk_sample.facts import MAX_CHUNKS, strip_of
from chunk_ppo_ros.data.chunk_sample.sampler import ChunkSampler
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.reporting.page.changed_settings import command_line
from chunk_ppo_ros.reporting.page.page import write_page
from chunk_ppo_ros.reporting.page.run_data import RunData
from chunk_ppo_ros.reporting.report import write_report
from chunk_ppo_ros.reporting.run_metrics import episode_metrics, run_time_metrics
from support import lerobot_sets
from support.fake_learner import make_transition

HOSTILE = "<script>alert(\"x\")</script> & 'more'"
UPDATE = {"kl/after": 0.2, "ratio/min": 0.7, "ratio/mean": 1.0, "ratio/max": 1.4, "reward/chunk_mean": 0.5}


class Elements(html.parser.HTMLParser):
    """Collects the tags, the attributes and the texts of a page, and finds tags that are not closed."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def charts(self) -> list[dict[str, object]]:
        return json.loads(self.texts[self.texts.index(next(t for t in self.texts if t.startswith('[{"x"'))) :][0])

    @property
    def visible(self) -> str:
        return " ".join(" ".join(self.texts).split())


def config_of(folder: Path, **run: object) -> config_lib.TrainConfig:
    fixed = {"exp_name": "name", "run_dir": str(folder / "runs"), "wandb": False}
    return dataclasses.replace(config_lib.PRESETS["debug"], run=config_lib.RunConfig(**{**fixed, **run}))


def write_run(folder: Path, *, updates: int = 3, success: bool = True, changes: dict | None = None, **run: object):
    config = config_of(folder, **run)
    run_dir = config.run.folder
    with MetricsLog.open(run_dir, config=config, run_id="name-1", start="fresh weights", form="train") as log:
        for number in range(updates):
            record = episode_metrics(episode=number, total_reward=1.0, success=success, num_chunks=4)
            log.write("episode", record, counters=Counters("name-1", number, 4 * number, 64 * number))
            metrics = Metrics({**UPDATE, **(changes or {})}) | run_time_metrics({"wall": 61.0 * (number + 1)})
            after = Counters("name-1", policy_version=number + 1, num_chunks=4 * number + 4, num_steps=64 * number + 64)
            log.write("update", metrics, counters=after)
    return run_dir


def page_of(run_dir: Path) -> Elements:
    write_page(RunData.read(run_dir), plot=run_dir / "no_picture.png")
    return Elements((run_dir / "report.html").read_text())


def test_the_page_is_one_file_that_loads_nothing(tmp_path: Path) -> None:
    write_report(write_run(tmp_path))
    page = Elements((tmp_path / "runs" / "name" / "report.html").read_text())
    addresses = [value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href", "srcset")]
    assert addresses and all(value.startswith(("data:", "#")) for value in addresses)
    text = (tmp_path / "runs" / "name" / "report.html").read_text()
    assert not re.search(r"@import|url\((?!data:)", text)
    assert "Copyright (c) 2022 Leon Sorokin" in text  # the license of uPlot
    assert page.tags[page.tags.index(("noscript", {})) + 2][0] == "img"  # the learning curve, after a style


def test_a_video_shows_its_first_frame_and_a_damaged_one_says_so(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path)
    lerobot_sets.write_video(run_dir / "before.mp4", range(4))
    (run_dir / "after.mp4").write_bytes(b"no video")
    page = page_of(run_dir)
    (video,) = [attrs for tag, attrs in page.tags if tag == "video"]
    assert video["src"].startswith("data:video/mp4;base64,")
    content = base64.b64decode(video["poster"].removeprefix("data:image/jpeg;base64,"))
    shown = np.array(Image.open(io.BytesIO(content)), float)
    np.testing.assert_allclose(shown.mean(), lerobot_sets.frame(0).mean(), atol=5.0)
    assert "The video cannot be shown: video must be readable" in page.visible


def test_the_links_at_the_top_lead_to_all_sections(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path))
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    sections = ["#" + attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert links == sections and {"#curves", "#settings", "#provenance"} <= set(sections)


def test_the_page_says_what_came_of_the_run_and_how_to_go_on(tmp_path: Path) -> None:
    text = page_of(write_run(tmp_path, seed=7)).visible
    for sentence in (
        "The run is not complete: it has trained on 192 of 5000 control steps in 3 updates.",
        "solved while training, sampled: the first and the last 1 of 3 episodes",
        "chunk_ppo train --config debug --exp_name=name",
        "--seed=7 --resume",
        "3 min 03 s",
        "seed 7",
        "fresh weights",
        f"numpy {np.__version__}",
    ):
        assert sentence in text, sentence


def test_texts_of_the_user_are_escaped(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path, prompt=HOSTILE)
    ChunkSampler(run_dir, "name-1").add([episode_of(2, prompt=HOSTILE)[1]])
    page = page_of(run_dir)
    assert HOSTILE in page.texts
    scripts = [attrs for tag, attrs in page.tags if tag == "script"]
    assert len(scripts) == 3  # the data, uPlot and our own


def test_a_run_without_success_and_with_metrics_that_are_no_numbers_says_so(tmp_path: Path) -> None:
    changes = {"value/explained_variance": float("nan"), "kl/after": float("inf")}
    page = page_of(write_run(tmp_path, success=False, changes=changes))
    assert "None of 3 episodes was solved." in page.visible
    named = "Some metrics were not finite numbers, of 3 updates: kl/after in 3, value/explained_variance in 3."
    assert named in page.visible
    assert "No value is a finite number so far." in page.visible
    assert all(value is not None for chart in page.charts() for value in chart["x"])


def test_a_run_without_an_update_has_a_page(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path, updates=0))
    assert "it has trained on 0 of 5000 control steps in 0 updates" in page.visible
    assert "solved while training, sampled: no episode has ended yet" in page.visible
    assert "No chunk of this run is stored yet." in page.visible
    assert page.visible.count("No values yet") > 5


def test_every_metric_of_an_update_has_a_curve(tmp_path: Path) -> None:
    changes = {"own_package/new_metric": 3.0, "reward/term/own_term": 0.25, "loss/entropy": 1.0}
    page = page_of(write_run(tmp_path, changes=changes))
    drawn = {series["label"] for chart in page.charts() for series in chart["series"]}
    assert {"own_package/new_metric", "own_term", "loss/entropy", "kl/after", "mean"} <= drawn
    assert "own_package/new_metric (unit not known)" in page.texts


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "a task; of 'two' words"},
        {"keep_checkpoints": 7, "wandb": True},
        {"prompt": "-x"},
    ],
    ids=["words", "several", "hyphen"],
)
def test_the_command_gives_the_same_settings_again(tmp_path: Path, changes: dict[str, object]) -> None:
    config = config_of(tmp_path, **changes)
    sections = {
        "ppo": dataclasses.replace(config.ppo, gamma=0.5, batch_size=16),
        "reward": dataclasses.replace(config.reward, sources=("task", "scale")),
    }
    config = dataclasses.replace(config, **sections)
    words = shlex.split(command_line("train", config_lib.to_dict(config), resume=False))
    assert words[:3] == ["chunk_ppo", "train", "--config"]
    parser = flags.FlagParser(prog="train", description=None)
    flags.add_config_flags(parser, preset="debug")
    assert flags.config_from_flags(parser.parse_args(words[2:])) == config


def episode_of(num_chunks: int, *, success: bool = False, prompt: str = "reach", number: int = 0) -> list[Transition]:
    """Returns the transitions of an episode whose last chunk ends it."""
    made = []
    for chunk in range(num_chunks):
        transition = make_transition(100 * number + chunk, episode=number)
        outcome = transition.outcome
        if chunk == num_chunks - 1:
            outcome = dataclasses.replace(outcome, truncated=not success, terminated=success, success=success)
        made.append(
            dataclasses.replace(
                transition,
                id=dataclasses.replace(transition.id, chunk=chunk),
                chunk=dataclasses.replace(transition.chunk, source=ObservationSource(prompt=prompt)),
                outcome=outcome,
            )
        )
    return made


def test_the_sample_of_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    sampler = ChunkSampler(tmp_path, "run-1")
    solved, failed = episode_of(3, success=True), episode_of(20, number=1)
    sampler.add(solved[:2])
    sampler.add([*solved[2:], *failed])
    sample = sample_files.read_sample(tmp_path, "run-1")
    assert sample is not None and sample.success is not None and sample.failure is not None
    assert [chunk.sequence_number for chunk in sample.chunks] == [2, *range(100, 120)]
    assert sample.success.chunks == strip_of(solved).chunks
    assert (sample.success.images == strip_of(solved).images).all()
    assert (sample.failure.num_chunks, len(sample.failure.chunks)) == (20, MAX_CHUNKS)
    assert sample_files.read_sample(tmp_path, "another run") is None


def test_a_damaged_sample_costs_the_page_its_episodes_only(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path)
    ChunkSampler(run_dir, "name-1").add(episode_of(2))
    assert "Episode 0, not solved: 2 chunks, prompt “reach”" in page_of(run_dir).visible
    (run_dir / "chunk_sample" / "rollout.npz").write_bytes(b"no archive")
    text = page_of(run_dir).visible
    assert "The stored chunks cannot be read:" in text
    assert "Curves" in text


def test_the_disk_may_refuse_the_sample(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "chunk_sample").write_text("a file in the place of the folder")
    sampler = ChunkSampler(tmp_path, "run-1")
    for _ in range(2):
        sampler.add(episode_of(2))
    assert len([record for record in caplog.records if "lacks new episodes" in record.message]) == 1


@pytest.mark.parametrize("line", ["3", "[]", "{}", '{"kind": "episode"}', '{"kind": "evaluation", "time": 1.0}'])
def test_a_line_that_no_version_wrote_is_an_error_of_one_line(tmp_path: Path, line: str) -> None:
    run_dir = write_run(tmp_path)
    with (run_dir / "metrics.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match="must"):
        write_report(run_dir)
