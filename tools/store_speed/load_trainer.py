"""Runs the trainer_node whose intake is loaded. Its update is never made, so it compiles none."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the node. Modules are loaded here, so that processes that it starts do not load them."""
    from chunk_ppo_ros.agent.learner import Learner
    from chunk_ppo_ros.nodes.trainer import run_loader, trainer_node

    class ColdLearner(Learner):
        """A learner that does not compile its update beforehand."""

        def warm_up(self) -> None:
            """Does nothing."""

    run_loader.Learner = ColdLearner  # type: ignore[misc]
    trainer_node.main(sys.argv[1:])


if __name__ == "__main__":
    main()
