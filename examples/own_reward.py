"""Two reward terms of your own, without a node: one reads the simulated scene, the other what the robot did.

Try them, from the folder of the checkout. The metrics `reward/term/near_each_other` and `reward/term/travel` say what
they add to a chunk:

    chunk_ppo train --config debug --exp_name rewarded --no_wandb \
      --scene_terms examples.own_reward:near_each_other=-0.01 --execution_terms examples.own_reward:travel=-0.05
"""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.scene import SceneState

SAFE_DISTANCE = 0.15  # m


def near_each_other(before: SceneState, after: SceneState) -> float:
    """Returns 1 for a control step that ends with the grippers nearer to each other than 0.15 m, else 0.

    It is called after every control step in the simulator. The value of a chunk is the sum over its steps.
    """
    left, right = after.grasp_points
    return float(np.linalg.norm(left - right) < SAFE_DISTANCE)


def travel(execution: ExecutionResult, actions: np.ndarray) -> float:
    """Returns how far the arm joints were asked to turn in the executed part of a chunk, rad summed over the joints.

    It is called once for each chunk, in the script form, in the simulated graph and on a robot.

    Args:
        execution: what the robot did with the chunk.
        actions: float [H, 14], the targets of the chunk, rad, grippers normalized.
    """
    executed = actions[: execution.num_steps, aloha.ARM_INDICES]
    return float(np.abs(np.diff(executed, axis=0)).sum())
