"""Tests the data of the charts of a page: hostile labels, numbers that are not finite, and very long series."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from chunk_ppo_ros.reporting.page.chart import MAX_POINTS, Chart, Series, charts_data


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


def test_a_very_long_series_is_thinned_to_what_a_browser_draws() -> None:
    x = [float(number) for number in range(2 * MAX_POINTS + 1)]
    chart = Chart("Long", [Series("one", x, x), Series("two", x[:2], x[:2], "intervals", low=x[:2], high=x[1:3])])
    one, two = drawn(chart)
    kept = [value for value in one["y"] if value is not None]
    assert len(kept) <= MAX_POINTS and kept[-1] == x[-1]
    assert [value for value in two["high"] if value is not None] == [1.0, 2.0]
    assert "Of the longest series one point in 3 is drawn." in chart.element(0)
    assert "is drawn" not in Chart("Short", chart.series[1:]).element(0)
