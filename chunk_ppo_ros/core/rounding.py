"""How far the rounding of a dtype may move the probability of a chunk between sampling and scoring."""

from __future__ import annotations

MAX_LOGP_GAPS: dict[str, float] = {"float32": 1e-3, "bfloat16": 0.9}
"""The largest |ratio - 1| of a chunk before the first gradient step, by the dtype of the computation.

Rounding in float32 causes a difference of about 1e-5. In bfloat16 it causes 0.02 in a chunk of 7 tokens and 0.6 in a
chunk of 110 tokens. Other weights or another temperature cause about 1.
"""
