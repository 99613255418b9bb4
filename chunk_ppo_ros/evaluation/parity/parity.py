"""Compares every number of the model with reference data that openpi computed.

The folder has config.json, inputs.npz, outputs.npz, an Orbax checkpoint, and perhaps outputs_bf16_params.npz.
docs/model.md says what each of them has, and where an example is. The exit status is 1 where a number is beyond its
tolerance, and 2 where the folder holds no such data, or not all that is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax

from chunk_ppo_ros.config.commands.checkpoints import parity_parser
from chunk_ppo_ros.evaluation.parity.parity_complete import check_complete
from chunk_ppo_ros.evaluation.parity.parity_quantities import SETTINGS, list_quantities
from chunk_ppo_ros.evaluation.parity.parity_rows import HEADING, compare
from chunk_ppo_ros.evaluation.parity.parity_set import ReferenceError, ReferenceSet, read_reference_set
from chunk_ppo_ros.model.backbone.variants import resolve_variant


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo parity DIR`."""
    parsed = parity_parser().parse_args(arguments)
    reference = read_reference_set(parsed.folder.resolve())
    missing = check_complete(reference, parsed.folder, allow_missing=parsed.allow_missing)
    print(_describe(reference))
    print(HEADING)
    with jax.default_matmul_precision("highest"):
        compared, failed = _print_rows(reference)
    left = sorted((available(reference) - compared) - set(SETTINGS))
    print(f"not compared: {', '.join(left) if left else 'nothing, every array has its row'}")
    if missing:
        print(f"missing, and allowed to be: {', '.join(missing)}")
    print(f"{len(failed)} quantities beyond tolerance: {', '.join(failed)}" if failed else "all within tolerance")
    return 1 if failed else 0


def available(reference: ReferenceSet) -> set[str]:
    """Returns the names of all arrays of the reference's outputs."""
    return {*reference.outputs, *(f"bf16_params/{name}" for name in reference.bfloat16_outputs)}


def _print_rows(reference: ReferenceSet) -> tuple[set[str], list[str]]:
    """Prints each row when it is computed. Returns the names of the compared arrays, and of those beyond tolerance."""
    compared, failed = set(), {}
    try:
        for quantity in list_quantities(reference):
            row = compare(quantity)
            print(row, flush=True)
            compared.add(quantity.array)
            if not row.passed:
                failed[quantity.array] = True
    except (ValueError, IndexError, TypeError) as error:  # numpy's and JAX's errors of shapes and types
        raise ReferenceError(
            f"an array of the reference has another shape or type than its row needs: {error}"
        ) from error
    return compared, list(failed)


def _describe(reference: ReferenceSet) -> str:
    """Returns lines that describe the checkpoint, the sizes and the cameras of the comparison."""
    config, masked = reference.config, int((~reference.image_mask).sum())
    towers = resolve_variant(config)
    return (
        f"checkpoint {reference.checkpoint}\n"
        f"image tower width {towers.siglip.width}, depth {towers.siglip.depth}; decoder width {towers.gemma.width}, "
        f"depth {towers.gemma.depth}, {towers.gemma.num_heads} heads on {towers.gemma.num_kv_heads}, vocabulary "
        f"{config.vocab_size}; batch {len(reference.tokens)}, {reference.tokens.shape[1]} text slots\n"
        f"cameras {', '.join(config.cameras)} at {config.image_size}, {masked} masked; JAX {jax.__version__} on "
        f"{jax.default_backend()}"
    )
