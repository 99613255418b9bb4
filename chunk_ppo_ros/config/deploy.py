"""The settings of a run without a trainer: which checkpoints act, how they act, and when the run ends."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config.schema import Checked, setting

GREEDY, SAMPLE = "greedy", "sample"
DECODINGS = (GREEDY, SAMPLE)
"""The ways to choose tokens: the likeliest one, or one that is drawn at `model.temperature`."""
MAX_CHECKPOINTS = 2


@dataclasses.dataclass(frozen=True)
class DeployConfig(Checked):
    """Settings of a run without a trainer (docs/deploy.md)."""

    checkpoints: tuple[str, ...] = setting(
        (), "checkpoints that act without a trainer, one, or two to be compared; empty trains", graph_only=True
    )
    decoding: str = setting(GREEDY, "how a policy that is not trained chooses its tokens", choices=DECODINGS)
    num_episodes: int = setting(
        0,
        "episodes with a result that each deployed checkpoint gets before the run ends; 0 goes on until it is stopped",
        minimum=0,
        graph_only=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.checkpoints) > MAX_CHECKPOINTS:
            raise ValueError(
                f"deploy.checkpoints must name at most {MAX_CHECKPOINTS} checkpoints, got {len(self.checkpoints)}; "
                "compare two at a time"
            )

    @property
    def is_deployment(self) -> bool:
        """Whether checkpoints act without a trainer."""
        return bool(self.checkpoints)

    @property
    def announcer(self) -> str:
        """The node that announces the policy that acts, and acknowledges transitions."""
        return "deployment_node" if self.is_deployment else "trainer_node"

    @property
    def is_comparison(self) -> bool:
        """Whether two checkpoints act in turn, so that the operator must not know which one does."""
        return len(self.checkpoints) > 1

    def block_size(self, *, has_starts: bool) -> int:
        """Returns the number of episodes in a block, in which each checkpoint acts equally often with one prompt.

        In a block of two episodes an operator could tell the second checkpoint from the first. But two episodes have
        the same start where a simulator draws it.

        Args:
            has_starts: whether a simulator draws the starts.
        """
        if not self.is_comparison:
            return 1
        return MAX_CHECKPOINTS if has_starts else 2 * MAX_CHECKPOINTS

    @property
    def is_greedy(self) -> bool:
        """Whether the policy takes the likeliest token. A policy in training never does."""
        return self.is_deployment and self.decoding == GREEDY
