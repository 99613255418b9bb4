"""Tests `bench --like` and `bench --variant` at sizes that take seconds. No test asserts how long anything takes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from chunk_ppo_ros.config import TINY_MODEL, Pi0FASTActorCriticConfig, PPOConfig, from_dict
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.evaluation.bench import bench, bench_reference, bench_variant, flops
from chunk_ppo_ros.evaluation.bench.bench_policy import BenchPolicy, with_tokens
from chunk_ppo_ros.evaluation.bench.bench_reference import ReferenceBench, ReferenceSizes, find_sizes
from chunk_ppo_ros.evaluation.bench.bench_variant import VariantSetup
from chunk_ppo_ros.evaluation.bench.measurement import Case, Figure
from chunk_ppo_ros.model.backbone.variants import resolve_variant
from chunk_ppo_ros.rl.gradient_step import GradientStep
from chunk_ppo_ros.rl.rollout import stack_transitions
from support import published, toy_policy

SMALL = dataclasses.replace(
    TINY_MODEL,
    cameras=("one",),
    image_size=32,
    vocab_size=256,
    tower_sizes=("gemma.depth=1", "gemma.width=32", "gemma.mlp_dim=32"),
)
NUM_TOKENS = 6
CHUNKS = with_tokens(SMALL, NUM_TOKENS, prompt_len=SMALL.max_prompt_len)
"""The model of most tests here. It has one size and two chunks at once, so that few programs are compiled."""

CONFIG = {
    "name": "set_x",
    "max_token_len": 40,
    "siglip": {"width": 8, "depth": 1, "mlp_dim": 16, "num_heads": 2, "patch_size": [14, 14]},
    "gemma": {
        "width": 16,
        "depth": 2,
        "mlp_dim": 32,
        "num_heads": 4,
        "num_kv_heads": 2,
        "head_dim": 8,
        "vocab_size": 512,
    },
}


def test_sizes_are_read_from_a_folder_of_reference_data(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    sizes = find_sizes(str(tmp_path))
    model = sizes.model
    assert (sizes.name, sizes.num_tokens, model.max_token_len, model.max_prompt_len) == ("set_x", 20, 40, 18)
    towers = resolve_variant(model)
    assert dataclasses.astuple(towers.siglip)[:4] == (8, 1, 16, 2)
    assert dataclasses.astuple(towers.gemma)[:6] == (16, 2, 32, 4, 8, 2)
    assert (model.vocab_size, model.patch_size) == (512, 14)


def test_set_a_has_the_sizes_that_openpi_was_timed_with() -> None:
    stored = find_sizes(str(published.set_a_folder()))
    known = find_sizes("0.5m")
    assert stored.model == known.model
    assert (stored.sample_batches, stored.step_batch) == (known.sample_batches, known.step_batch)


@pytest.mark.parametrize("text", ["", "[]", json.dumps({**CONFIG, "gemma": {"width": 16}})])
def test_a_folder_without_sizes_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"must name the sizes of both towers"):
        find_sizes(str(tmp_path))
    with pytest.raises(UserError, match=r"one of 0.5m, 7.8m"):
        find_sizes(str(tmp_path / "nowhere"))


def test_every_chunk_has_the_stated_number_of_tokens() -> None:
    bench_policy = BenchPolicy(CHUNKS)
    sample = bench_policy.sample(bench_policy.observations(2))
    np.testing.assert_array_equal(np.sum(sample.token_mask, axis=1), [NUM_TOKENS, NUM_TOKENS])
    assert bench_policy.model.max_prompt_len == SMALL.max_prompt_len


def test_reference_figures() -> None:
    sizes = ReferenceSizes("small", CHUNKS, sample_batches=(1, 2), step_batch=2)
    figures = ReferenceBench(sizes, runs=1).measure()
    assert [(figure.name.split(" of two ")[0], figure.unit) for figure in figures] == [
        ("small: sample 6 tokens, batch 1", "ms"),
        ("small: sample 6 tokens, batch 2", "ms"),
        ("small: gradient step, batch 2", "ms"),
        ("small: product", "ms"),
        ("small: gradient step over that product", "times"),
    ]
    step, product, ratio = (figure.values[0] for figure in figures[-3:])
    assert ratio == pytest.approx(step / product)
    side = int(figures[-2].name.split()[4])  # A product of matrices of this side has 2 * side^3 operations.
    assert figures[-2].name.endswith(f"product of two {side} x {side}, as many operations")
    operations = 2 * step_flops(CHUNKS, prompt_len=SMALL.max_prompt_len, tokens=NUM_TOKENS)
    assert 2 * side**3 == pytest.approx(operations, rel=0.05)


def step_flops(model: Pi0FASTActorCriticConfig, *, prompt_len: int, tokens: int, **products: int) -> int:
    """Returns the operations of a gradient step on one chunk.

    The chunk's slots are a patch, the prompt, 2 forced tokens, and all FAST tokens but the last one.
    """
    slots, classes = 1 + prompt_len + 2 + tokens - 1, 256 - 128 - 16  # of a vocabulary of 256
    return flops.gradient_flops(model, slots=slots, scored=tokens, classes=classes, **products)


@pytest.mark.parametrize("name", ["adapters, image tower frozen", "all weights"])
def test_each_kind_of_update_is_measured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_variant, "LONG_CHUNK", NUM_TOKENS)
    monkeypatch.setattr(bench_variant, "peak_rate", lambda: (1e9, "a test"))
    figures = bench_variant.update(VariantSetup(SMALL, batch_size=2, runs=1), name)
    chunks, share = figures[:2]  # the CPU does not tell its memory
    assert (chunks.unit, share.unit) == ("chunks/s", "%")
    assert chunks.values[0] > 0
    setup = VariantSetup(SMALL, batch_size=2, runs=1)
    model, products = setup.with_chunk(6), bench_variant.UPDATES[name].products
    operations = step_flops(model, prompt_len=SMALL.max_prompt_len, tokens=6, **products)
    assert share.values[0] == pytest.approx(100 * chunks.values[0] * operations / 1e9)


def test_an_update_computes_only_what_it_trains() -> None:
    products = {name: kind.products for name, kind in bench_variant.UPDATES.items()}
    assert products == {
        "adapters, image tower frozen": {"image_products": 0, "decoder_products": 2},
        "adapters": {"image_products": 3, "decoder_products": 2},
        "all weights": {"image_products": 3, "decoder_products": 3},
    }
    assert [kind.lora_rank for kind in bench_variant.UPDATES.values()] == [16, 16, 0]


class Device:
    """Stands in for a device of NVIDIA."""

    device_kind = "NVIDIA H200"

    def memory_stats(self) -> dict[str, int]:
        return {"peak_bytes_in_use": 2_500_000_000}


def test_the_peak_is_that_of_the_data_sheet_or_that_of_a_product(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Case[jax.Array]] = []

    def measured(part: str, cases: Sequence[Case[jax.Array]], *, runs: int) -> list[Figure]:
        asked.extend(cases)
        return [Figure(part, "peak", "1/s", (3.0, 5.0, 4.0))]

    with monkeypatch.context() as patch:
        patch.setattr(bench_variant.jax, "devices", lambda: [Device()])
        assert bench_variant.peak_rate() == (989e12, "data sheet of NVIDIA H200, bfloat16")
    monkeypatch.setattr(bench_variant, "measure", measured)
    rate, source = bench_variant.peak_rate()
    assert (rate, "large product of float32 matrices" in source) == (5.0, True)
    side, _ = asked[0].prepare().shape
    assert side >= 1024
    assert asked[0].convert(2.0) == side**3  # 2 * side^3 operations in two seconds


def test_the_peak_of_memory_is_told_where_the_device_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_variant, "LONG_CHUNK", NUM_TOKENS)
    monkeypatch.setattr(bench_variant, "peak_rate", lambda: (1e9, "a test"))
    monkeypatch.setattr(bench_variant.BenchPolicy, "stepper", lambda self, ppo: lambda rollout: None)
    monkeypatch.setattr(bench_variant.BenchPolicy, "rollout", lambda self, batch: None)
    setup = VariantSetup(SMALL, batch_size=2, runs=1)
    assert len(bench_variant.update(setup, "all weights")) == 2  # The CPU does not tell its memory.
    monkeypatch.setattr(bench_variant.jax, "devices", lambda: [Device()])
    memory = bench_variant.update(setup, "all weights")[-1]
    assert (memory.name, memory.unit, memory.values) == ("update: all weights: peak of device memory", "GB", (2.5,))


def test_the_time_of_a_token_is_told_from_two_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_variant, "SHORT_CHUNK", 2)
    monkeypatch.setattr(bench_variant, "LONG_CHUNK", NUM_TOKENS)
    monkeypatch.setattr(bench_variant, "peak_rate", lambda: (1e9, "a test"))
    figures = {figure.name: figure.values[0] for figure in bench_variant.act(VariantSetup(SMALL, batch_size=2, runs=1))}
    short, long = figures["act: chunk of 2 tokens"], figures[f"act: chunk of {NUM_TOKENS} tokens"]
    assert figures["act: a token"] == pytest.approx((long - short) / 4)
    assert figures["act: images and prompt"] == pytest.approx(short - 2 * (long - short) / 4)
    model = VariantSetup(SMALL, batch_size=2, runs=1).with_chunk(2)
    slots = 1 + SMALL.max_prompt_len + 2  # a patch, the prompt and the forced tokens
    prefill = flops.image_flops(model) + flops.decoder_flops(model, queries=slots, keys=slots)
    share = 100 * prefill / (1e-3 * figures["act: images and prompt"]) / 1e9
    assert figures["act: images and prompt, part of the peak"] == pytest.approx(share)
    assert figures["act: long chunk over its motion"] == pytest.approx(100 * long / 320)  # 16 steps at 50 Hz


def test_a_part_that_fails_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each part is a process of its own. Here no part knows the model."""
    monkeypatch.setattr(bench_variant, "UPDATES", {})
    broken = dataclasses.replace(SMALL, tower_sizes=("siglip.num_heads=5",))  # 64 is no multiple of it
    assert bench_variant.measure_variant(VariantSetup(broken, batch_size=2, runs=1)) == []
    assert "act ended with status 1" in capsys.readouterr().out


def test_every_part_is_measured_in_a_process_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], *, input: str, **options: Any) -> SimpleNamespace:
        assert from_dict(Pi0FASTActorCriticConfig, json.loads(input)) == SMALL
        part, *sizes = command[5:]
        asked.append(sizes)
        figure = Figure("variant", part, "ms", (1.0,))
        return SimpleNamespace(returncode=int(part == "adapters"), stdout=json.dumps([figure.record()]))

    monkeypatch.setattr(bench_variant.subprocess, "run", run)
    figures = bench_variant.measure_variant(VariantSetup(SMALL, batch_size=2, runs=3))
    assert [figure.name for figure in figures] == ["act", "adapters, image tower frozen", "all weights"]
    assert asked == [["2", "3"]] * 4
    assert "variant: adapters ended with status 1; its own output is above" in capsys.readouterr().out


def test_a_step_that_is_not_finite_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: GradientStep, state: Any, rollout: Any, targets: Any, indices: Any) -> tuple[Any, Any]:
        return state, SimpleNamespace(finite=np.array(False))

    bench_policy = BenchPolicy(with_tokens(SMALL, 10, prompt_len=12))
    monkeypatch.setattr(GradientStep, "__call__", step)
    work = bench_policy.stepper(PPOConfig(num_chunks_per_update=2, batch_size=2))
    with pytest.raises(RuntimeError, match="gradient step must be finite, got a value that is not"):
        work(stack_transitions([toy_policy.transition(number) for number in range(2)]))


@pytest.mark.parametrize(
    ("flags", "asked"), [(["--like", "0.5m", "7.8m"], ["0.5m", "7.8m"]), (["--variant", "tiny"], ["bfloat16 8"])]
)
def test_the_command_measures_what_is_asked(
    flags: list[str],
    asked: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def reference(self: ReferenceBench) -> list[Figure]:
        return [Figure("reference", self._sizes.name, "ms", (1.0,))]

    def variant(setup: VariantSetup) -> list[Figure]:
        return [Figure("variant", f"{setup.model.dtype} {setup.batch_size}", "ms", (1.0,))]

    monkeypatch.setattr(bench_reference, "BenchPolicy", lambda model: None)
    monkeypatch.setattr(ReferenceBench, "measure", reference)
    monkeypatch.setattr(bench_variant, "measure_variant", variant)
    monkeypatch.setattr(bench_variant, "peak_rate", lambda: (1e9, "a test"))
    monkeypatch.setattr(bench.os, "getloadavg", lambda: (1.5, 5.0, 9.0))
    file = tmp_path / "figures.json"
    assert bench.main([*flags, "--runs", "1", "--json", str(file)]) == 0
    written = json.loads(file.read_text())
    loads = (written["machine"]["load_average_1min"], written["machine"]["load_average_1min_after"])
    assert (loads, len(written["figures"])) == ((1.5, 1.5), len(asked))
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in printed for name in asked)
