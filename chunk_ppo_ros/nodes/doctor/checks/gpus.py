"""Checks whether the memory of the GPU suffices for the configured variant of the model."""

from __future__ import annotations

from collections.abc import Iterator

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, skipped, warn
from chunk_ppo_ros.core.units import MEBIBYTE
from chunk_ppo_ros.nodes.doctor.facts import Facts

SMALL = 100_000_000
"""The number of parameters up to which a model also works on a CPU."""


def memory(facts: Facts) -> Iterator[Finding]:
    """Compares the memory of the largest GPU with what the parameters take in policy_node and trainer_node."""
    name, size, needed = "memory", facts.model, facts.model.device_size // MEBIBYTE
    counted = f"{size.num_parameters / 1e6:.1f} M parameters, {size.num_trained / 1e6:.1f} M trained"
    model = f"{facts.config.model.paligemma_variant} ({counted})"
    if facts.gpu.gpus:
        best = max(facts.gpu.gpus, key=lambda gpu: gpu.total)
        found = (
            f"{best.name} has {best.total} MiB, {best.free} MiB free; {model} takes {needed} MiB for parameters, "
            "gradients and moments of policy_node and trainer_node, and more for activations"
        )
        advice = "take gemma_2b_lora, freeze what need not be trained (ppo.freeze_*), or see docs/troubles.md"
        if best.total < needed:
            yield error(name, found, advice)
        elif best.free < needed:
            yield warn(name, found, "end the other programs on the GPU (nvidia-smi lists them)")
        else:
            yield ok(name, found)
    elif size.num_parameters <= SMALL:
        yield skipped(name, f"no GPU is known ({facts.gpu.problem}), and {model} also works on a CPU")
    else:
        advice = "install NVIDIA's driver and a JAX with CUDA, or take a smaller variant"
        yield warn(name, f"no GPU is known ({facts.gpu.problem}); {model} is far too slow on a CPU", advice)


CHECKS = (memory,)
