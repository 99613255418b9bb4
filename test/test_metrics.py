"""Tests the metrics file, and wandb that fails, hangs or is slow without training noticing."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import select
import subprocess
import sys
import time

import numpy as np
import pytest

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.core.distributions.histogram import Histogram
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.reporting import wandb_sink
from chunk_ppo_ros.reporting.metrics_file import FILE_NAME, HISTOGRAMS_NAME, MetricsFile, NewestRun, read_records
from chunk_ppo_ros.reporting.metrics_log import MetricsLog

CONFIG = config_lib.PRESETS["debug"]
WITHOUT_WANDB = dataclasses.replace(CONFIG, run=dataclasses.replace(CONFIG.run, wandb=False))


@dataclasses.dataclass(frozen=True)
class Counters:
    num_chunks: int = 32
    num_steps: int = 512
    policy_version: int = 1


def write_some(run_dir, run_id="run-1", **metrics):
    with MetricsLog.open(run_dir, config=WITHOUT_WANDB, run_id=run_id) as log:
        log.write("update", Metrics(metrics), counters=Counters())


def test_records_carry_counters_names_and_time(tmp_path):
    before = time.time()
    with MetricsLog.open(tmp_path, config=WITHOUT_WANDB, run_id="run-1") as log:
        log.write("update", Metrics({"loss/policy": -0.5}), counters=Counters())
        log.write(
            "episode",
            Metrics({"episode/success": 1.0, "episode/num_chunks": 3}),
            counters=Counters(64, 1024, 2),
            labels={"episode/operator": "Ada"},
        )
    run, update, episode = read_records(tmp_path)
    assert (run["kind"], run["run_id"], run["config"]) == ("run", "run-1", config_lib.to_dict(WITHOUT_WANDB))
    assert before <= update.pop("time") <= time.time()
    assert update == {"kind": "update", "num_chunks": 32, "num_steps": 512, "policy_version": 1, "loss/policy": -0.5}
    assert (episode["num_chunks"], episode["episode/num_chunks"], episode["episode/success"]) == (64, 3, 1.0)
    assert episode["episode/operator"] == "Ada"


def test_metrics_are_joined_but_none_is_computed_twice():
    joined = Metrics({"loss/policy": 1.0}) | Metrics({"loss/value": 2})
    assert joined == {"loss/policy": 1.0, "loss/value": 2}
    with pytest.raises(ValueError, match=r"must be computed once, got loss/value twice"):
        joined | Metrics({"loss/value": 2})


def test_a_metric_is_a_python_number():
    with pytest.raises(
        ValueError, match=r"loss/policy must be a Python number, got .*1.0.* of type float32; convert it"
    ):
        Metrics({"loss/policy": np.float32(1.0)})


def test_metrics_do_not_change_with_what_they_were_made_of():
    numbers = {"loss/policy": 1.0}
    metrics = Metrics(numbers)
    numbers["loss/policy"] = 2.0
    assert metrics["loss/policy"] == 1.0


def test_every_record_is_on_disk_when_it_is_written(tmp_path):
    log = MetricsLog.open(tmp_path, config=WITHOUT_WANDB, run_id="run-1")
    log.write("update", Metrics({"loss/policy": 1.0}), counters=Counters())
    assert len(read_records(tmp_path)) == 2
    log.close()


def test_what_is_not_finite_becomes_null(tmp_path):
    write_some(tmp_path, nan=float("nan"), infinite=float("inf"), fine=1.0)
    record = read_records(tmp_path)[-1]
    assert (record["nan"], record["infinite"], record["fine"]) == (None, None, 1.0)


def test_resuming_appends_and_another_run_starts_over(tmp_path):
    write_some(tmp_path, "old", value=0.0)
    write_some(tmp_path, "new", value=1.0)
    write_some(tmp_path, "new", value=2.0)
    assert [record["value"] for record in read_records(tmp_path) if record["kind"] == "update"] == [1.0, 2.0]
    assert len((tmp_path / FILE_NAME).read_text().splitlines()) == 6


def test_a_line_torn_by_a_crash_is_not_read_and_is_cut_off(tmp_path):
    write_some(tmp_path, value=1.0)
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write('{"kind": "upd')
    assert len(read_records(tmp_path)) == 2
    write_some(tmp_path, value=2.0)
    assert [record.get("value") for record in read_records(tmp_path)] == [None, 1.0, None, 2.0]


def test_a_long_torn_line_is_cut_off_where_it_begins(tmp_path):
    """The file is read from its end in blocks of 64 KiB, and the torn line is longer than two of them."""
    write_some(tmp_path, value=1.0)
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(whole + b"x" * 200_000)
    MetricsFile(tmp_path).close()
    assert (tmp_path / FILE_NAME).read_bytes() == whole
    (tmp_path / FILE_NAME).write_bytes(b"x" * 200_000)
    MetricsFile(tmp_path).close()
    assert (tmp_path / FILE_NAME).read_bytes() == b""


def test_what_is_written_while_a_run_is_read_does_not_count(tmp_path):
    write_some(tmp_path, "old", value=0.0)
    write_some(tmp_path, "new", value=1.0)
    found = NewestRun.find(tmp_path)
    write_some(tmp_path, "newer", value=2.0)
    assert [record.get("value") for record in found.records()] == [None, 1.0]
    assert found.lines_before == 2


def test_histograms_have_a_file_of_their_own(tmp_path):
    histogram = Histogram.of(np.array([1.0, 2.0]))
    with MetricsLog.open(tmp_path, config=WITHOUT_WANDB, run_id="run-1") as log:
        log.write("update", Metrics({"a": 1.0}), counters=Counters())
        assert not (tmp_path / HISTOGRAMS_NAME).exists()
        log.write("update", Metrics({"a": 1.0}, {"distribution/a": histogram}), counters=Counters(policy_version=2))
    assert "histograms" not in read_records(tmp_path)[-1]
    (line,) = (tmp_path / HISTOGRAMS_NAME).read_text().splitlines()
    record = json.loads(line)
    named = record.pop("histograms")
    assert record == {"run_id": "run-1", "policy_version": 2, "num_chunks": 32, "num_steps": 512}
    assert Histogram.from_json(named["distribution/a"]) == histogram


def test_a_broken_line_is_named(tmp_path):
    (tmp_path / FILE_NAME).write_text('{"kind": "update"}\nnonsense\n')
    with pytest.raises(ValueError, match=r"metrics.jsonl, line 2, must be JSON"):
        read_records(tmp_path)


class DiskThatFillsUp:
    """Stands for a file that takes half of a line, then no more."""

    def __init__(self, file):
        self._file = file
        self.full = False

    def write(self, line):
        if self.full:
            raise OSError(28, "No space left on device")
        self.full = True
        return self._file.write(line[: len(line) // 2])

    def __getattr__(self, name):
        return getattr(self._file, name)


def test_a_full_disk_is_an_error_that_leaves_whole_lines(tmp_path):
    write_some(tmp_path, value=1.0)
    file = MetricsFile(tmp_path)
    file._file = DiskThatFillsUp(file._file)
    with pytest.raises(OSError, match="No space left"):
        file.append({"kind": "update", "value": 2.0})
    file.close()
    content = (tmp_path / FILE_NAME).read_text()
    assert content.endswith("}\n")
    assert len(content.splitlines()) == 2


def test_an_unknown_kind_is_refused(tmp_path):
    log = MetricsLog.open(tmp_path, config=WITHOUT_WANDB, run_id="run-1")
    with log, pytest.raises(ValueError, match="one of update, episode, evaluation, got 'updates'"):
        log.write("updates", Metrics(), counters=Counters())


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Makes a home without any login."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_wandb_is_offline_without_a_login(home):
    assert wandb_sink.wandb_mode() == "offline"
    (home / ".netrc").write_text("machine example.org login user password secret\n")
    assert wandb_sink.wandb_mode() == "offline"


def test_wandb_is_online_with_a_login(home, monkeypatch):
    (home / ".netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert wandb_sink.wandb_mode() == "online"
    (home / ".netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert wandb_sink.wandb_mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert wandb_sink.wandb_mode() == "offline"


def test_a_netrc_that_cannot_be_read_is_said(home, caplog):
    (home / ".netrc").write_text("nonsense\n")
    assert wandb_sink.wandb_mode() == "offline"
    assert "finds no login" in caplog.text


def test_disabled_starts_nothing(home, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_sink.start(home, run_id="run", config={}) is None


def make_sink(tmp_path, program):
    command = [sys.executable, "-c", program]
    return wandb_sink.WandbSink(command, {"run_id": "run"}, mode="offline", log_path=tmp_path / "wandb.log")


def test_the_process_gets_every_line_and_the_mode(tmp_path):
    sink = make_sink(tmp_path, "import os, sys; print(os.environ['WANDB_MODE'], *sys.stdin.readlines(), sep='\\n')")
    sink.send("update", {"loss": 1.0})
    sink.close()
    mode, *lines = (tmp_path / "wandb.log").read_text().split("\n")
    assert mode == "offline"
    assert [json.loads(line) for line in lines if line] == [{"run_id": "run"}, {"loss": 1.0}]


def test_a_process_that_fails_is_reported_once(tmp_path, caplog):
    sink = make_sink(tmp_path, "raise SystemExit('no wandb here')")
    sink.process.wait()
    for number in range(100):
        sink.send("update", {"number": number})
    sink.close()
    assert len(caplog.records) == 1
    assert str(tmp_path / "wandb.log") in caplog.text
    assert "no wandb here" in (tmp_path / "wandb.log").read_text()


def test_a_process_that_hangs_holds_up_nobody(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(wandb_sink, "FINISH_TIMEOUT", 0.4)
    monkeypatch.setattr(wandb_sink, "QUEUE_SIZE", 10)
    sink = make_sink(tmp_path, "import time; time.sleep(60)")
    started = time.monotonic()
    for _ in range(200):
        sink.send("update", {"text": "x" * 10_000})  # more than the pipe and the queue hold
    sink.close()
    assert time.monotonic() - started < 30.0  # half of what the process sleeps: nobody waited for it
    assert sink.process.returncode == -9
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert sum("wandb is too slow" in message for message in messages) == 1
    assert sum("did not finish in time" in message for message in messages) == 1
    assert sum(message.startswith("wandb missed") for message in messages) == 1


FAKE_WANDB = """
import json, os

def put(what, value=None):
    print(json.dumps([what, value]), flush=True)

class Run:
    def define_metric(self, *names, **settings): put("define_metric", [*names, settings])
    def log(self, record): put("log", record)
    def finish(self): put("finish")

def Settings(**given): return given

def init(**given):
    put("init", given)
    return Run()

put("import", [os.environ["WANDB_MODE"], os.environ["WANDB_ERROR_REPORTING"]])
"""
"""Stands in for wandb and prints each call."""


@pytest.fixture
def fake_wandb(tmp_path, monkeypatch):
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "wandb.py").write_text(FAKE_WANDB)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("WANDB_MODE", "offline")


def test_wandb_gets_every_record_and_uses_the_network_for_nothing_else(fake_wandb, tmp_path):
    run_dir = tmp_path / "runs" / "mine"
    with MetricsLog.open(run_dir, config=CONFIG, run_id="mine/1") as log:
        log.write("update", Metrics({"loss/policy": 1.0, "kl/after": float("nan")}), counters=Counters())
    calls = [json.loads(line) for line in (run_dir / "wandb.log").read_text().splitlines()]
    off = dict.fromkeys(("disable_git", "disable_code", "silent"), True) | {"console": "off", "save_code": False}
    off |= dict.fromkeys(("x_disable_stats", "x_disable_machine_info", "x_disable_meta"), True)
    assert calls[0] == ["import", ["offline", "false"]]
    assert calls[1][1].pop("config")["ppo"]["gamma"] == CONFIG.ppo.gamma
    assert calls[1] == [
        "init",
        {
            "project": "chunk_ppo_ros",
            "id": "mine-1",
            "resume": "allow",
            "name": "mine",
            "dir": str(run_dir),
            "settings": off,
        },
    ]
    assert calls[2] == ["define_metric", ["*", {"step_metric": "num_chunks"}]]
    (logged,) = (value for what, value in calls if what == "log")
    assert math.isnan(logged.pop("kl/after"))
    assert logged == {"num_chunks": 32, "num_steps": 512, "policy_version": 1, "loss/policy": 1.0}
    assert calls[-1] == ["finish", None]


def test_wandb_is_in_a_session_of_its_own_where_ctrl_c_does_not_reach_it(fake_wandb, tmp_path):
    sink = wandb_sink.start(tmp_path, run_id="run", config={"ppo": {}})
    assert sink is not None
    assert os.getsid(sink.process.pid) == sink.process.pid
    sink.close()
    assert sink.process.returncode == 0


def test_wandb_ends_soon_after_the_process_that_trains(fake_wandb, tmp_path):
    command = [sys.executable, "-m", "chunk_ppo_ros.reporting.wandb_process", str(tmp_path), "0.1"]
    program = f"import subprocess, time; subprocess.Popen({command!r}); time.sleep(600)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as trains:
        assert b"import" in trains.stdout.readline()  # wandb's process now waits for its first record
        trains.kill()
        readable, _, _ = select.select([trains.stdout], [], [], 30.0)
        assert readable and trains.stdout.read() == b""  # nobody has it open any more


def test_wandb_writes_offline_below_the_run(home, tmp_path):
    run_dir = tmp_path / "runs" / "name"
    run_dir.mkdir(parents=True)
    lines = [
        {"run_id": "a/b", "name": "name", "config": {"ppo": {"gamma": 0.99}}},
        {"num_chunks": 32, "loss/policy": 1.0, "value/explained_variance": None},
    ]
    subprocess.run(
        [sys.executable, "-m", "chunk_ppo_ros.reporting.wandb_process", str(run_dir), "0"],
        input="".join(json.dumps(line) + "\n" for line in lines),
        text=True,
        check=True,
        timeout=60,
        env=os.environ | {"WANDB_MODE": "offline", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    (written,) = (run_dir / "wandb").glob("offline-run-*/run-a-b.wandb")
    assert b"loss/policy" in written.read_bytes()
