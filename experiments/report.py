"""Writes docs/results/ from all finished curves, by `python -m experiments report`.

It first copies the finished curves from the folder of runs. Then it writes tables and plots from all curves in
docs/results/.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.config.flags import FlagParser
from experiments import figures, state, tables
from experiments.definitions import EXPERIMENTS, VARIANTS
from experiments.results import Result
from experiments.run import FOLDER

RESULTS = state.ROOT / "docs" / "results"


def publish(source: Path, target: Path) -> int:
    """Copies finished curves of known experiments and variants, and returns how many are new or differ."""
    changed = 0
    for path in sorted(source.glob("*/*/seed*/result.json")):
        values = state.read_json(path)
        if values is None or values["name"] not in EXPERIMENTS or values["variant"] not in VARIANTS:
            continue
        place = target / values["name"] / values["variant"] / f"seed{values['seed']}.json"
        if state.read_json(place) != values:
            state.write_json(place, values)
            changed += 1
    return changed


def read_results(folder: Path) -> dict[str, dict[str, list[Result]]]:
    """Returns published results by experiment and variant, in the order of their definitions and then of seeds."""
    found = [Result(**values) for path in folder.glob("*/*/seed*.json") if (values := state.read_json(path))]
    grouped: dict[str, dict[str, list[Result]]] = {}
    for name in EXPERIMENTS:
        for variant in VARIANTS:
            results = [one for one in found if (one.name, one.variant) == (name, variant)]
            if results:
                grouped.setdefault(name, {})[variant] = sorted(results, key=lambda result: result.seed)
    return grouped


def write_report(folder: Path) -> Path:
    """Writes README.md and a plot for each experiment, and returns the page's path."""
    grouped = read_results(folder)
    for name, variants in grouped.items():
        if evidence := tables.reported(variants):
            figures.draw(folder / f"{name}.png", name, evidence)
    page = folder / "README.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(tables.page(grouped))
    return page


def main(arguments: Sequence[str]) -> int:
    """Copies new results and writes the report. Returns the exit status 0."""
    parser = FlagParser(prog="python -m experiments report", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"of finished curves ({FOLDER})")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where results are published (docs/results)")
    parsed = parser.parse_args(arguments)
    print(f"{publish(parsed.folder, parsed.results)} results are new or differ")
    print(f"wrote {write_report(parsed.results)}")
    return 0
