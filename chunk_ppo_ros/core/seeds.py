"""Seeds of episodes: every start is reproducible, and no start of one purpose is a start of another.

Demonstrations, training, validation and evaluation draw their starts from streams of their own, so that an evaluation
is on unseen starts by construction. Whatever is chosen by measurement (a start, an option) is chosen on validation.
"""

from __future__ import annotations

import numpy as np

DEMONSTRATION = 1
TRAINING = 2
EVALUATION = 3
VALIDATION = 4


def episode_seed(purpose: int, *, run_seed: int, episode: int) -> int:
    """Seed of one episode's reset, in 0 .. 2**63 - 1.

    Args:
        purpose: DEMONSTRATION, TRAINING, EVALUATION or VALIDATION.
        run_seed: `run.seed` of the configuration.
        episode: number of the episode within its stream, >= 0.
    """
    words = np.random.SeedSequence([purpose, run_seed, episode]).generate_state(2, np.uint32)
    return (int(words[0]) << 31) ^ int(words[1])
