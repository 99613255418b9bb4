"""Tests the data of the charts of a page: hostile labels, numbers that are not finite, and very long series."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from typing import Any

from chunk_ppo_ros.reporting.page.chart import Chart, Series, charts_data


def drawn(chart: Chart) -> list[dict[str, Any]]:
    """Returns the series as a browser reads them: up to the first text that ends the script."""
    found = re.search(r'id="charts">(.*?)(</script|<!--)', charts_data([chart]), re.DOTALL)
    assert found is not None
    series: list[dict[str, Any]] = json.loads(found[1])[0]["series"]
    return series


def test_labels_and_numbers_of_charts_end_no_script() -> None:
    label = "</script><img src=x onerror=alert(1)><!--"
    (series,) = drawn(Chart("one", [Series(label, [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, math.nan, math.inf, None, 1e300])]))
    assert series["label"] == label
    assert series["y"] == [1.0, None, None, None, 1e300]


def test_a_chart_says_that_its_curve_is_thinned() -> None:
    series = Series("one", [1.0, 2.0], [1.0, 2.0], rows_per_part=3)
    chart = Chart("Long", [series, dataclasses.replace(series, rows_per_part=1)])
    assert "of every 3 points the lowest and the highest are drawn." in chart.element(0)
    assert "thinned" not in Chart("Short", chart.series[1:]).element(0)
