"""Measures acting, updating, observing, the topics and checkpoints, and prints the median and the range of each.

docs/performance.md says what each figure means. The parts with ROS run in separate processes (`nodes/bench/`).
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.config.commands.developers import BENCH_PARTS, bench_parser
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.folders import check_file
from chunk_ppo_ros.evaluation.bench.bench_inputs import ImageSize
from chunk_ppo_ros.evaluation.bench.measurement import HEADING, Figure
from chunk_ppo_ros.runtime.graph import network_environment
from chunk_ppo_ros.runtime.processors import num_processors
from chunk_ppo_ros.runtime.ros_domain import DDS_DOMAINS, claim_domain

PARTS = BENCH_PARTS
LARGE_IMAGES = ImageSize(pixels=224, patch=14)
"""The size that gives the small model as many image tokens as the published models have."""

_NUM_DEMONSTRATIONS = 16  # They suffice to fit tokenizers. Nothing is trained on them.

PART_TIMEOUT = 300.0
"""The longest time of the process of a part, s."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """The settings of a measurement.

    Attributes:
        config: configuration of the model and of the run; its outputs must be below `folder`.
        large_images: size of the images of the second model.
        folder: folder for checkpoints and the journal.
        runs: number of timed runs of each case.
        num_transitions: number of transitions that are sent through the topics in one run.
        domain_id: ROS domain; a free one where not given.
    """

    config: TrainConfig
    large_images: ImageSize
    folder: Path
    runs: int
    num_transitions: int = 128
    domain_id: int | None = None


def make_setup(folder: Path, *, runs: int, domain_id: int | None = None) -> Setup:
    """Returns the setup of the debug preset, with its outputs below `folder`."""
    debug = PRESETS["debug"]
    config = dataclasses.replace(
        debug,
        pretrain=dataclasses.replace(debug.pretrain, num_demonstrations=_NUM_DEMONSTRATIONS, demonstration_workers=1),
        run=dataclasses.replace(debug.run, checkpoint_root=str(folder), run_dir=str(folder), wandb=False),
    )
    return Setup(config, LARGE_IMAGES, folder, runs, domain_id=domain_id)


def measure_parts(parts: Sequence[str], setup: Setup) -> Iterator[list[Figure]]:
    """Yields the figures of each part as soon as it is measured.

    Raises:
        UserError: when the process of a part fails.
    """
    from chunk_ppo_ros.evaluation.bench.bench_model import ModelBench

    model_bench = ModelBench(setup.config, setup.large_images, runs=setup.runs)
    measurements: dict[str, Callable[[], list[Figure]]] = {
        "act": model_bench.act,
        "update": model_bench.update,
        "observe": lambda: _in_process("observe_bench", setup),
        "topics": lambda: _in_process("topic_bench", setup, "--num_transitions", str(setup.num_transitions)),
        "checkpoint": model_bench.checkpoint,
    }
    for part in parts:
        yield measurements[part]()


def machine() -> dict[str, object]:
    """Returns the properties of the machine on which the figures depend."""
    import jax

    return {
        "cores": num_processors(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": importlib.metadata.version("numpy"),
        "device": jax.devices()[0].device_kind,
        "load_average_1min": round(os.getloadavg()[0], 2),
    }


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo bench`, which measures and prints. Returns the exit status 0."""
    parser = bench_parser()
    given = parser.parse_args(arguments)
    if given.domain_id is not None and given.domain_id not in DDS_DOMAINS:
        parser.error(f"--domain_id must be within 0..{DDS_DOMAINS.stop - 1}, got {given.domain_id}")
    if given.json:
        check_file(given.json, "--json")
    before = machine()
    print(", ".join(f"{name} {value}" for name, value in before.items()), flush=True)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="chunk_ppo_ros_bench_", dir=given.folder) as folder:
        setup = make_setup(Path(folder), runs=given.runs, domain_id=given.domain_id)
        for of_part in _measurements(given, setup):
            print(f"\n{of_part[0].part}\n{HEADING}", *of_part, sep="\n", flush=True)
            figures += of_part
    print(f"\nload average at the end {os.getloadavg()[0]:.2f}; much more than the cores means that other programs ran")
    if given.json:
        after = {"load_average_1min_after": round(os.getloadavg()[0], 2)}
        text = {"machine": before | after, "figures": [figure.record() for figure in figures]}
        given.json.write_text(json.dumps(text, indent=2) + "\n")
    return 0


def _measurements(given: argparse.Namespace, setup: Setup) -> Iterator[list[Figure]]:
    """Yields the figures that the flags request."""
    if given.variant:
        from chunk_ppo_ros.evaluation.bench import bench_variant

        sizes = bench_variant.variant_setup(
            given.variant, dtype=given.dtype, batch_size=given.batch_size, runs=given.runs
        )
        rate, source = bench_variant.peak_rate()
        print(f"peak: {rate / 1e12:.3g} million million operations a second, {source}", flush=True)
        yield bench_variant.measure_variant(sizes)
    elif given.like:
        from chunk_ppo_ros.evaluation.bench import bench_reference

        for name in given.like:
            yield bench_reference.ReferenceBench(bench_reference.find_sizes(name), runs=given.runs).measure()
    else:
        yield from measure_parts([given.only] if given.only else PARTS, setup)


def _in_process(module: str, setup: Setup, *further: str) -> list[Figure]:
    """Runs `nodes/bench/<module>` and returns the figures that it prints. It ends when this process ends in any way."""
    sizes = sorted({setup.config.model.image_size, setup.large_images.pixels})
    command = [
        sys.executable,
        "-m",
        "chunk_ppo_ros.runtime.supervised",
        str(os.getpid()),
        f"chunk_ppo_ros.nodes.bench.{module}",
    ]
    command += ["--runs", str(setup.runs), "--folder", str(setup.folder)]
    command += ["--image_sizes", *map(str, sizes), *further]
    with claim_domain(setup.domain_id) as domain_id:
        environment = os.environ | network_environment(discovery="localhost", domain_id=domain_id)
        environment["ROS_LOG_DIR"] = str(setup.folder / "ros_log")
        environment.pop("ROS_LOCALHOST_ONLY", None)  # It would overrule the discovery range.
        try:
            done = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, text=True, timeout=PART_TIMEOUT, check=True
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise UserError(f"{module} failed: {error}; its own output is above") from error
    return [Figure.from_record(record) for record in json.loads(done.stdout)]
