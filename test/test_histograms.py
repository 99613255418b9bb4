"""Tests the histograms of updates: their bins by hand, their file, and how a page draws them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.core.distributions.histogram import NUM_BINS, Histogram
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.reporting.distributions.ridges import Ridge, figure
from chunk_ppo_ros.reporting.distributions.stored import MAX_UPDATES, read_histograms
from chunk_ppo_ros.reporting.metrics_file import HISTOGRAMS_NAME
from chunk_ppo_ros.rl.optimizer import make_optimizer
from chunk_ppo_ros.rl.rollout import stack_transitions
from chunk_ppo_ros.rl.update import PPOUpdate
from support import toy_policy


def of(*values: float, is_log: bool = False) -> Histogram:
    found = Histogram.of(np.array(values), is_log=is_log)
    assert found is not None
    return found


def test_a_histogram_by_hand() -> None:
    found = of(0.0, 1.0, 24.0, 12.0, 12.5, math.nan)
    assert (found.low, found.high, found.count, found.num_left_out) == (0.0, 24.0, 5, 1)
    assert [place for place, count in enumerate(found.counts) for _ in range(count)] == [0, 1, 12, 12, 23]
    assert (found.total, found.total_of_squares, found.mean) == (49.5, 1 + 576 + 144 + 156.25, 9.9)
    np.testing.assert_allclose(found.edges, np.arange(25.0))


def test_bins_of_ratios_have_equal_widths_of_the_logarithm() -> None:
    found = of(0.5, 1.01, 2.0, 0.0, is_log=True)
    assert [place for place, count in enumerate(found.counts) if count] == [0, NUM_BINS // 2, NUM_BINS - 1]
    assert found.num_left_out == 1
    np.testing.assert_allclose(found.edges[[0, NUM_BINS // 2, NUM_BINS]], [0.5, 1.0, 2.0])


@pytest.mark.parametrize("values", [(3.0, 3.0), (1.0, np.nextafter(1.0, 2.0)), (1e300, 1e300)])
def test_numbers_that_are_equal_have_one_bin(values: tuple[float, ...]) -> None:
    with np.errstate(over="ignore"):
        assert of(*values).counts == (2,)


def test_without_a_finite_number_there_is_no_histogram() -> None:
    assert Histogram.of(np.array([math.nan, math.inf])) is None
    assert Histogram.of(np.zeros(3), is_log=True) is None


def test_a_histogram_comes_back_from_its_file() -> None:
    found = of(1.0, 2.0, 4.0, is_log=True)
    assert Histogram.from_json(json.loads(json.dumps(found.as_json()))) == found


@pytest.mark.parametrize(
    "fields", [{}, {"counts": "x"}, {**of(1.0).as_json(), "counts": []}, {**of(1.0).as_json(), "low": None}]
)
def test_a_damaged_histogram_is_named(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a histogram must have the fields of this version"):
        Histogram.from_json(fields)


def test_metrics_that_are_joined_keep_their_histograms() -> None:
    one, two = (Metrics({name: 1.0}, {f"distribution/{name}": of(1.0)}) for name in ("a", "b"))
    assert set((one | two).histograms) == {"distribution/a", "distribution/b"}
    with pytest.raises(ValueError, match="must be computed once, got distribution/a twice"):
        one | Metrics({}, {"distribution/a": of(2.0)})


def test_an_update_tells_the_distributions_of_its_chunks_without_those_that_humans_drove() -> None:
    made = [toy_policy.transition(number, human=number == 1, reward=float(number)) for number in range(4)]
    config, params = PPOConfig(batch_size=2, num_epochs_per_update=1), toy_policy.init_params()
    optimizer = make_optimizer(config)
    result = PPOUpdate(toy_policy.evaluate, optimizer, config).run(
        params, optimizer.init(params), stack_transitions(made), key=jax.random.key(0)
    )
    found = result.metrics.histograms
    assert (found["distribution/reward"].total, found["distribution/reward"].count) == (0.0 + 2.0 + 3.0, 3)
    assert found["distribution/ratio"].count == 3 and found["distribution/ratio"].is_log
    log_probs = [
        float(one.chunk.token_log_probs[one.chunk.token_mask].sum()) for one in made if not one.chunk.human_driven
    ]
    assert found["distribution/log_prob"].total == pytest.approx(sum(log_probs), rel=1e-5)
    advantage, value, returns = (found[f"distribution/{name}"].total for name in ("advantage", "value", "return"))
    assert advantage == pytest.approx(returns - value, abs=1e-4)


def write(folder: Path, versions: list[int], *, run_id: str = "run", start: float = 0.0) -> None:
    with (folder / HISTOGRAMS_NAME).open("a") as file:
        for version in versions:
            named = {"distribution/value": of(start, start + version).as_json()}
            record = {"run_id": run_id, "policy_version": version, "num_chunks": 8 * version, "histograms": named}
            file.write(json.dumps(record) + "\n")


def test_a_few_updates_are_read_with_the_first_and_the_newest(tmp_path: Path) -> None:
    write(tmp_path, [1, 2], run_id="earlier run")
    write(tmp_path, list(range(1, 102)))
    with (tmp_path / HISTOGRAMS_NAME).open("a") as file:
        file.write('{"run_id": "run", "policy_ver')  # A crash left it unfinished.
    found = read_histograms(tmp_path, "run")
    assert [each.policy_version for each in found] == [1, 21, 41, 61, 81, 101]
    assert len(found) == MAX_UPDATES
    assert found[1].histograms["distribution/value"].high == 21.0
    assert read_histograms(tmp_path, "another run") == read_histograms(tmp_path / "nowhere", "run") == []


def test_an_update_that_was_made_again_counts_as_it_was_made_last(tmp_path: Path) -> None:
    write(tmp_path, [1, 2, 3])
    write(tmp_path, [2, 3], start=5.0)
    assert [each.histograms["distribution/value"].low for each in read_histograms(tmp_path, "run")] == [0.0, 5.0, 5.0]


@pytest.mark.parametrize(
    "line", ["nonsense", "3", "{}", '{"run_id": "run", "policy_version": 1, "num_chunks": 1, "histograms": 2}']
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / HISTOGRAMS_NAME).write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"histograms.jsonl must have lines of this package, got .*move it away"):
        read_histograms(tmp_path, "run")


def test_a_figure_is_drawn_also_of_single_values() -> None:
    drawn = figure("<T> (1)", [Ridge("update 1", (of(3.0, 3.0),)), Ridge("update 2", (of(1.0, 2.0, is_log=True),))])
    assert "&lt;T&gt; (1)" in drawn and "nan" not in drawn
    alone = figure("T", [Ridge("update 1", (of(1.0, 1.0, is_log=True),))], marks=(0.8, 1.05))
    assert alone.count("stroke-dasharray") == 1  # The axis is 1/1.1 to 1.1.
