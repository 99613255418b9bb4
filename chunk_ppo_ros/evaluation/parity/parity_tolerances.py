"""Says how far a number of ours may be from openpi's, for each kind of number and precision."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.evaluation.parity.parity_rows import EXACT, Tolerance

PLAIN = Tolerance(1e-4)
"""The tolerance of embeddings in float32."""

SCALED = Tolerance(1e-4, scale="element")
"""The tolerance of log-probs, of their sums and of gradients' norms in float32, which may be far above 1."""

VECTOR = Tolerance(1e-4, scale="vector")
"""The tolerance of hidden states and logits in float32.

Both have a standard deviation of about 3, and their rounding errors are in proportion to it. At depth 6 the reference
itself differs by up to 9e-4 from the same network in float64, and by 2e-4 from ours.
"""

CHOICE = Tolerance(5e-4)
"""The tolerance of how far a chosen token is below our best one. Both scores may be wrong by VECTOR's bound."""

FINE = {
    "prefix_emb_mean": PLAIN,
    "prefix_emb_std": PLAIN,
    "prefix_emb_first8": PLAIN,
    "logits": VECTOR,
    "pre_logits_text": VECTOR,
    "token_logp": SCALED,
    "seq_logp_sum": SCALED,
    "loss": SCALED,
    "input_mask": EXACT,
    "ar_mask": EXACT,
}
"""The tolerances of a forward pass in float32, by name."""

COARSE = {
    "prefix_emb_mean": Tolerance(0.02),
    "prefix_emb_std": Tolerance(0.02),
    "prefix_emb_first8": Tolerance(0.05, scale="element"),
    "logits": Tolerance(1.0),
    "pre_logits_text": Tolerance(0.1, scale="element"),
    "token_logp": Tolerance(0.5),
    "seq_logp_sum": Tolerance(0.05, scale="element"),
    "loss": Tolerance(0.1),
    "input_mask": EXACT,
    "ar_mask": EXACT,
}
"""The tolerances in bfloat16, whose numbers have three digits, by name. `coarse_tolerance` may make them larger."""

COARSE_CHOICE = Tolerance(1.0)
"""The tolerance of how far a chosen token is below our best one in bfloat16."""


def coarse_tolerance(name: str, coarse: np.ndarray, fine: np.ndarray | None, counted: np.ndarray | None) -> Tolerance:
    """Returns the tolerance of COARSE, or sqrt(2) times the reference's own rounding error where that is larger.

    The rounding error is the reference's distance from its float32 numbers. It grows with the depth of the decoder. Two
    independent rounding errors of one size differ by sqrt(2) times that size.
    """
    tolerance = COARSE[name]
    if fine is None or tolerance is EXACT or tolerance.scale != "none":
        return tolerance
    own = np.abs(coarse - fine[..., : coarse.shape[-1]])
    largest = float(np.max(own if counted is None else own[counted]))
    return Tolerance(2**0.5 * largest) if largest > tolerance.bound else tolerance
