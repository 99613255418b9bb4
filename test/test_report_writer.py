"""Tests the page of a run that goes on, ends or is stopped, and the command that makes it at any time."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.config import PRESETS, RunConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.reporting import report_writer
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.reporting.report_process import LOG_NAME, rest
from chunk_ppo_ros.reporting.report_writer import ReportWriter
from support.patience import PATIENCE


def write_update(log: MetricsLog, number: int) -> None:
    counters = Counters("mine-1", policy_version=number, num_chunks=8 * number, num_steps=128 * number)
    log.write("update", Metrics({"ratio/mean": 1.0, "kl/approx": 0.01}), counters=counters)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[MetricsLog]:
    """Returns the metrics of a run `mine` with one update."""
    config = dataclasses.replace(PRESETS["debug"], run=RunConfig(exp_name="mine", wandb=False))
    with MetricsLog.open(tmp_path / "runs" / "mine", config=config, run_id="mine-1") as log:
        write_update(log, 1)
        yield log


@pytest.fixture
def run_dir(tmp_path: Path, log: MetricsLog) -> Path:
    return tmp_path / "runs" / "mine"


def wait_until(condition: Callable[[], bool], *, timeout: float = PATIENCE) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def trained_on(run_dir: Path, updates: int) -> bool:
    summary = run_dir / "summary.md"
    return summary.is_file() and f"| trained on | {count_of(updates, 'update')}," in summary.read_text()


def test_the_page_is_written_while_the_run_goes_on_and_at_its_end(run_dir: Path, log: MetricsLog) -> None:
    with ReportWriter(run_dir, interval=3600.0) as report:
        report.request()
        wait_until(lambda: trained_on(run_dir, 1))
        assert "It was running when this page was written." in (run_dir / "summary.md").read_text()
        assert (run_dir / "learning_curve.png").is_file()
        write_update(log, 2)
        report.request()  # not due for an hour
    assert trained_on(run_dir, 2)
    assert "It no longer runs." in (run_dir / "summary.md").read_text()  # although its file is not closed yet
    assert not (run_dir / LOG_NAME).exists()  # nobody has anything to complain about


def test_training_goes_on_where_the_process_cannot_be_started(
    run_dir: Path, log: MetricsLog, caplog: pytest.LogCaptureFixture
) -> None:
    (run_dir / LOG_NAME).mkdir()  # so that its log cannot be opened
    with ReportWriter(run_dir) as report:
        report.request()
        report.request()
    assert trained_on(run_dir, 1)
    assert caplog.text.count("is written at the end only, because of") == 1


def test_pages_are_written_again_when_they_are_due(run_dir: Path, log: MetricsLog) -> None:
    with ReportWriter(run_dir, interval=0.01) as report:
        report.request()
        wait_until(lambda: trained_on(run_dir, 1))
        write_update(log, 2)
        report.request()
        wait_until(lambda: trained_on(run_dir, 2))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_has_its_page(run_dir: Path, number: signal.Signals) -> None:
    program = (
        "import pathlib, signal, sys, time\n"
        "from chunk_ppo_ros.reporting.report_writer import ReportWriter\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell may have started us without it
        "with ReportWriter(pathlib.Path(sys.argv[1]), interval=3600.0) as report:\n"
        "    report.request()\n"
        "    print('asked', flush=True)\n"
        "    time.sleep(3600.0)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", program, str(run_dir)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"asked\n"
        os.killpg(process.pid, number)  # as Ctrl-C and the supervisor do
        process.wait(timeout=PATIENCE)
    wait_until(lambda: trained_on(run_dir, 1) and not (run_dir / LOG_NAME).exists())


def test_a_page_that_the_process_cannot_write_is_an_error_at_the_end(run_dir: Path) -> None:
    (run_dir / "metrics.jsonl").write_text("not JSON\n")
    report = ReportWriter(run_dir)
    report.request()
    with pytest.raises(ValueError, match="must be JSON"):
        report.close()
    assert "must be JSON" in (run_dir / LOG_NAME).read_text()


def test_a_process_that_takes_too_long_is_ended_and_the_page_is_written_here(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(report_writer, "LAST_PAGE_TIMEOUT", 0.0)
    report = ReportWriter(run_dir)
    report.request()
    assert report.close() == run_dir / "summary.md"
    assert trained_on(run_dir, 1)
    assert f"ended with status -9: see {run_dir / LOG_NAME}" in caplog.text
    report.request()  # It is over, so no other process starts.
    assert report.close() == run_dir / "summary.md"


def test_the_process_that_writes_pages_lets_training_run_first(run_dir: Path) -> None:
    command = [sys.executable, "-m", "chunk_ppo_ros.reporting.report_process", str(run_dir), "3600"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        expected = min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
        wait_until(lambda: os.getpriority(os.PRIO_PROCESS, process.pid) == expected)
        assert not (run_dir / "summary.md").exists()  # Nobody has requested it.
    assert process.returncode == 0  # The end of the input requests the last page.
    assert trained_on(run_dir, 1)


def test_a_run_without_a_new_update_gets_its_page_here(run_dir: Path) -> None:
    assert ReportWriter(run_dir).close() == run_dir / "summary.md"
    assert trained_on(run_dir, 1)
    assert "It no longer runs." in (run_dir / "summary.md").read_text()


@pytest.mark.parametrize("name", ["runs/mine", "mine", "runs/mine/"])
def test_the_command_takes_a_folder_or_a_name(
    name: str, run_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(run_dir.parents[1])
    assert main(["report", name]) == 0
    assert capsys.readouterr().out == (
        "wrote runs/mine/report.html; open it in a browser\n"
        "wrote runs/mine/summary.md and runs/mine/learning_curve.png\n"
    )
    assert trained_on(run_dir, 1)


def test_the_command_names_the_runs_that_are_there(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(run_dir.parents[1])
    assert main(["report", "yours"]) == 2
    assert "got 'yours'; the runs here are mine" in capsys.readouterr().err
    monkeypatch.chdir(run_dir.parent)
    assert main(["report", "yours"]) == 2
    assert "the runs here are none; start the command in the folder that has runs/" in capsys.readouterr().err
    monkeypatch.chdir(run_dir.parents[1])
    (run_dir / "metrics.jsonl").write_text('{"kind": "update"}\n')
    assert main(["report", "mine"]) == 2
    assert "no report can be made from runs/mine: " in capsys.readouterr().err


def test_pages_that_take_long_are_written_less_often() -> None:
    assert rest(1.0, 60.0) == 60.0
    assert rest(20.0, 60.0) == 180.0
