"""Runs `make bench-store` and `make load-store` in small forms, and checks how they judge."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tools"))

from store_speed import bench
from store_speed.load import Loaded
from store_speed.sender_report import SenderReport


def test_every_way_is_measured_in_every_round(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    bench.main(["--rounds", "2", "--share", "0.05", "--folder", str(tmp_path / "made")])
    table = capsys.readouterr().out
    assert all(table.count(f"| {way} |") == len(bench.SIZES) for way in bench.WAYS)
    assert "store_fast_enough=" in table
    assert not list((tmp_path / "made").iterdir())


def test_the_store_is_fast_enough_by_either_measure() -> None:
    def rates(unsynced: list[float], grouped: list[float]) -> bench.Rates:
        return bench.Rates("452 kB", {bench.UNSYNCED: unsynced, bench.GROUPED: grouped})

    assert rates([100.0, 200.0, 50.0], [80.0, 161.0, 45.0]).enough
    assert not rates([100.0, 200.0, 50.0], [70.0, 140.0, 35.0]).enough
    assert rates([9000.0, 9000.0, 9000.0], [301.0, 301.0, 10.0]).enough
    assert rates([100.0, 200.0, 50.0], [80.0, 161.0, 45.0]).lines()[1].endswith(f"{bench.GROUPED} | 80 | 0.81 |")


@pytest.mark.slow
@pytest.mark.graph("load")
def test_trainer_node_stores_what_four_senders_send() -> None:
    """Runs 2 s of the load. A busy machine may need longer for it, but it may lose nothing."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "store_speed.load", "--seconds", "2"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.match(r"sent=200 accepted=200 stored=200 lost=0 wrong=0 refused=0 resent=\d+ ", ended.stdout)


def test_a_load_passes_only_where_everything_is_stored_as_it_was_sent() -> None:
    reports = tuple(SenderReport(accepted=25, resent=1, delays=[0.01] * 25, late=0.1) for _ in range(4))
    assert Loaded(100, 100, 0, reports).passed
    assert not Loaded(100, 99, 0, reports).passed
    assert not Loaded(100, 100, 1, reports).passed
    assert not Loaded(101, 101, 0, reports).passed
    assert str(Loaded(100, 99, 0, reports)) == (
        "sent=100 accepted=100 stored=99 lost=1 wrong=0 refused=0 resent=4 ack_ms_median=10 ack_ms_p99=10 late_s=0.10"
    )
