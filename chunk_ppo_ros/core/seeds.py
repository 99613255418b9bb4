"""Seeds of episodes, which make every start reproducible and keep the starts of different purposes apart.

Demonstrations, training, validation and evaluation each draw their starts from a stream of random numbers that no other
purpose uses. So an evaluation never sees a start of the training. A choice that is made by measuring, such as that of a
checkpoint or an option, is made on the validation starts. The prompts of episodes are drawn from a stream of their own.
"""

from __future__ import annotations

import numpy as np

DEMONSTRATION = 1
TRAINING = 2
EVALUATION = 3
VALIDATION = 4
PROMPT = 5
ORDER = 6


def episode_seed(purpose: int, *, run_seed: int, episode: int) -> int:
    """Returns the seed of one episode's reset, or of its prompt, in 0 .. 2**63 - 1.

    Args:
        purpose: DEMONSTRATION, TRAINING, EVALUATION, VALIDATION or PROMPT.
        run_seed: `run.seed` of the configuration.
        episode: number of the episode within its stream, >= 0.
    """
    words = np.random.SeedSequence([purpose, run_seed, episode]).generate_state(2, np.uint32)
    return (int(words[0]) << 31) ^ int(words[1])


def random_order(run_seed: int, *, position: int, num_items: int, copies: int) -> int:
    """Returns the item at a position of a random sequence of blocks, in each of which every item comes equally often.

    Args:
        run_seed: `run.seed` of the configuration.
        position: the position in the sequence, >= 0.
        num_items: the number of items, which are 0, 1, ...
        copies: how often each item comes in a block.

    Returns:
        The item, within 0 .. num_items - 1.
    """
    block, place = divmod(position, num_items * copies)
    random = np.random.default_rng(np.random.SeedSequence([ORDER, run_seed, block]))
    return int(random.permutation(np.repeat(np.arange(num_items), copies))[place])
