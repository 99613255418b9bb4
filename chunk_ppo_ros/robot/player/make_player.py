"""Makes the chunk player of a configuration."""

from __future__ import annotations

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from chunk_ppo_ros.robot.robot_calls import WITHOUT_NAMESPACE, RobotCalls


def make_player(config: TrainConfig, *, calls: RobotCalls = WITHOUT_NAMESPACE) -> ChunkPlayer:
    """Returns the chunk player of a robot, or of a simulator in lockstep or in real time.

    In lockstep nothing moves while a step is computed. The time without joint states after which the motion stops is
    then long, so that only a dead simulator counts.

    Args:
        config: the configuration of the run.
        calls: the command lines that texts for the operator name.

    Raises:
        RegistryError: for a measurement of another package that cannot be used.
    """
    timeout = config.robot.state_timeout
    return ChunkPlayer(
        config.robot,
        state_timeout=max(timeout, config.env.sensor_timeout) if config.env.is_lockstep else timeout,
        states_on_demand=config.env.is_lockstep,
        trust=TrustRule.of(config.robot, simulated=not config.env.is_real, calls=calls),
        segment_steps=config.model.action_horizon,
    )
