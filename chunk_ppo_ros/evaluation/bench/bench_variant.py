"""Measures latency, throughput, memory and the share of the peak rate of a whole variant on this device.

Each kind of update is measured in a separate process. So each has its own peak of memory, and one that does not fit
into memory does not end the others.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros import config as config_module
from chunk_ppo_ros.config import MODELS, Pi0FASTActorCriticConfig, PPOConfig, RobotConfig
from chunk_ppo_ros.core.types import ModelObservation
from chunk_ppo_ros.evaluation.bench import flops
from chunk_ppo_ros.evaluation.bench.bench_policy import BenchPolicy, with_tokens
from chunk_ppo_ros.evaluation.bench.measurement import Case, Figure, measure, milliseconds, rate_of
from chunk_ppo_ros.rl.rollout import RolloutBatch

PART = "variant"

SHORT_CHUNK, LONG_CHUNK = 8, 72
"""The numbers of tokens of two chunks, whose times give the time of one token.

A random walk of 16 steps and 14 joints has about 72 tokens.
"""

CHUNK_STEPS = 16
"""The control steps of the motion that a chunk's time is compared with."""

_LORA_RANK = 16  # The rank that openpi uses.


@dataclasses.dataclass(frozen=True)
class UpdateKind:
    """The parts of the model that an update trains.

    Attributes:
        lora_rank: rank of the adapters; 0 trains the decoder's own weights.
        image_tower_frozen: whether only the decoder is trained, on images that were embedded before.
    """

    lora_rank: int = 0
    image_tower_frozen: bool = False

    @property
    def products(self) -> dict[str, int]:
        """The arguments of `flops.gradient_flops` for this kind of update."""
        return {
            "image_products": 0 if self.image_tower_frozen else flops.TRAINED,
            "decoder_products": flops.FROZEN if self.lora_rank else flops.TRAINED,
        }


UPDATES: dict[str, UpdateKind] = {
    "adapters, image tower frozen": UpdateKind(_LORA_RANK, image_tower_frozen=True),
    "adapters": UpdateKind(_LORA_RANK),
    "all weights": UpdateKind(),
}

_PEAK_RATES = {
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H200": 989e12,
}  # Operations per second in bfloat16 without sparsity; source: NVIDIA's data sheets.


@dataclasses.dataclass(frozen=True)
class VariantSetup:
    """The settings of a measurement.

    Attributes:
        model: sizes of the model; `with_chunk` replaces its numbers of tokens.
        batch_size: number of chunks of a gradient step.
        runs: number of timed runs of each case.
    """

    model: Pi0FASTActorCriticConfig
    batch_size: int
    runs: int

    def with_chunk(self, num_tokens: int) -> Pi0FASTActorCriticConfig:
        """Returns the model with chunks of `num_tokens` tokens after a prompt of its usual length."""
        return with_tokens(self.model, num_tokens, prompt_len=self.model.max_prompt_len)


def peak_rate() -> tuple[float, str]:
    """Returns the largest number of operations per second of this device, and the source of that figure."""
    kind = jax.devices()[0].device_kind
    if kind in _PEAK_RATES:
        return _PEAK_RATES[kind], f"data sheet of {kind}, bfloat16"
    return _measured_rate(), f"a large product of float32 matrices on {kind}"


def act(setup: VariantSetup) -> list[Figure]:
    """Measures the time from an observation to a chunk: all of it, one token, and the part before the first token."""
    benches = {tokens: BenchPolicy(setup.with_chunk(tokens)) for tokens in (SHORT_CHUNK, LONG_CHUNK)}
    cases = [_acting(tokens, bench) for tokens, bench in benches.items()]
    short, long = measure(PART, cases, runs=setup.runs)
    times = np.array([short.values, long.values])
    token = (times[1] - times[0]) / (LONG_CHUNK - SHORT_CHUNK)
    before = times[0] - SHORT_CHUNK * token
    model, slots = benches[SHORT_CHUNK].model, benches[SHORT_CHUNK].policy.prefix_slots
    prefill = flops.image_flops(model) + flops.decoder_flops(model, queries=slots, keys=slots)
    rate, _ = peak_rate()
    derived = [
        ("act: a token", "ms", token),
        ("act: images and prompt", "ms", before),
        ("act: images and prompt, part of the peak", "%", 100 * prefill / (1e-3 * before) / rate),
        ("act: long chunk over its motion", "%", 100 * 1e-3 * times[1] / (CHUNK_STEPS / RobotConfig().control_rate)),
    ]
    return [
        short,
        long,
        *(Figure(PART, name, unit, tuple(values.tolist())) for name, unit, values in derived),
        *_memory("act"),
    ]


def _acting(tokens: int, bench: BenchPolicy) -> Case[ModelObservation]:
    name = f"act: chunk of {tokens} tokens"
    return Case(name, "ms", lambda: bench.observations(1), bench.sample, milliseconds)


def update(setup: VariantSetup, name: str) -> list[Figure]:
    """Measures gradient steps of one kind of update."""
    kind, batch = UPDATES[name], setup.batch_size
    bench = BenchPolicy(dataclasses.replace(setup.with_chunk(LONG_CHUNK), lora_rank=kind.lora_rank))
    ppo = PPOConfig(num_chunks_per_update=batch, batch_size=batch, freeze_image_tower=kind.image_tower_frozen)

    def prepare() -> RolloutBatch:
        rollout = bench.rollout(batch)
        return bench.embedded(rollout) if kind.image_tower_frozen else rollout

    case = Case(f"update: {name}, gradient steps of {batch}", "chunks/s", prepare, bench.stepper(ppo), rate_of(batch))
    (figure,) = measure(PART, [case], runs=setup.runs)
    rate, _ = peak_rate()
    share = np.array(figure.values) / batch * bench.step_flops(batch, **kind.products) / rate
    peak = Figure(PART, f"update: {name}, part of the peak", "%", tuple((100 * share).tolist()))
    return [figure, peak, *_memory(f"update: {name}")]


def measure_variant(setup: VariantSetup) -> list[Figure]:
    """Returns all figures. A part that does not fit the device's memory has none, and its error is printed."""
    figures: list[Figure] = []
    for part in ("act", *UPDATES):
        command = [
            sys.executable,
            "-m",
            "chunk_ppo_ros.runtime.supervised",
            str(os.getpid()),
            "chunk_ppo_ros.evaluation.bench.bench_variant",
        ]
        command += [part, str(setup.batch_size), str(setup.runs)]
        model = json.dumps(config_module.to_dict(setup.model))
        done = subprocess.run(command, input=model, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            print(f"variant: {part} ended with status {done.returncode}; its own output is above", flush=True)
        else:
            figures += [Figure.from_record(record) for record in json.loads(done.stdout)]
    return figures


def variant_setup(name: str, *, dtype: str, batch_size: int, runs: int) -> VariantSetup:
    """Returns the setup of a model by its name in `config.MODELS`."""
    return VariantSetup(dataclasses.replace(MODELS[name], dtype=dtype), batch_size, runs)


def _memory(what: str) -> list[Figure]:
    """Returns the peak of the device's memory in this process; nothing where the device does not report it."""
    stats = jax.devices()[0].memory_stats()
    if not stats or "peak_bytes_in_use" not in stats:
        return []
    return [Figure(PART, f"{what}: peak of device memory", "GB", (stats["peak_bytes_in_use"] / 1e9,))]


def _measured_rate(side: int = 2048) -> float:
    product = jax.jit(jnp.matmul)

    def work(matrix: jax.Array) -> None:
        jax.block_until_ready(product(matrix, matrix))

    case = Case("peak", "1/s", lambda: jnp.ones((side, side)), work, rate_of(2 * side**3))
    return max(measure(PART, [case], runs=5)[0].values)


def _main() -> None:
    """Runs one process of `measure_variant`.

    It reads the model section from the standard input and writes the figures as JSON to the standard output.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("part")
    parser.add_argument("batch_size", type=int)
    parser.add_argument("runs", type=int)
    given = parser.parse_args()
    model = config_module.from_dict(Pi0FASTActorCriticConfig, json.load(sys.stdin))
    setup = VariantSetup(model, given.batch_size, given.runs)
    figures = act(setup) if given.part == "act" else update(setup, given.part)
    print(json.dumps([figure.record() for figure in figures]))


if __name__ == "__main__":
    _main()
