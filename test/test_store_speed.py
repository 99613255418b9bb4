"""Runs `make bench-store` in a small form, and checks how it judges."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tools"))

from store_speed import bench


def test_every_way_is_measured_in_every_round(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    bench.main(["--rounds", "2", "--share", "0.05", "--folder", str(tmp_path)])
    table = capsys.readouterr().out
    assert all(table.count(f"| {way} |") == len(bench.SIZES) for way in bench.WAYS)
    assert "store_fast_enough=" in table
    assert not list(tmp_path.iterdir())


def test_the_store_is_fast_enough_by_either_measure() -> None:
    def rates(unsynced: list[float], grouped: list[float]) -> bench.Rates:
        return bench.Rates("452 kB", {bench.UNSYNCED: unsynced, bench.GROUPED: grouped})

    assert rates([100.0, 200.0, 50.0], [80.0, 161.0, 45.0]).enough
    assert not rates([100.0, 200.0, 50.0], [70.0, 140.0, 35.0]).enough
    assert rates([9000.0, 9000.0, 9000.0], [301.0, 301.0, 10.0]).enough
    assert rates([100.0, 200.0, 50.0], [80.0, 161.0, 45.0]).lines()[1].endswith(f"{bench.GROUPED} | 80 | 0.81 |")
