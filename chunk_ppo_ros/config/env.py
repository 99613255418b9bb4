"""The settings of the task, of the simulator, and of how much of a chunk is executed."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config.schema import Checked, setting

MUJOCO, KINEMATIC = "mujoco", "kinematic"
SIMULATORS = (MUJOCO, KINEMATIC)
"""The names of the simulators. `sim/simulator.py` has a function for each, which makes it."""
REAL_ROBOT = "none"
"""The value of `env.simulator` for a real robot, which needs no simulator."""


@dataclasses.dataclass(frozen=True)
class EnvConfig(Checked):
    """Settings of the task and of the simulator."""

    simulator: str = setting(MUJOCO, "physics behind the robot's topics", choices=(*SIMULATORS, REAL_ROBOT))
    task: str = setting("reach", "name of a task, or module:Class of your own; see docs/own-task.md")
    task_settings: tuple[str, ...] = setting((), "settings that the task itself declares, each as name=value")
    max_episode_chunks: int = setting(
        4, "time limit of an episode, whole chunks of model.action_horizon control steps", minimum=1, maximum=10000
    )
    realtime: bool = setting(
        False, "run in real time; false waits for the policy and else runs as fast as possible", graph_only=True
    )
    mirror: str = setting(
        REAL_ROBOT,
        "simulator that stands for cameras and judge of a real robot: it takes the pose of the arms from the joint "
        "states of their drivers; none where the robot has cameras",
        choices=(*SIMULATORS, REAL_ROBOT),
        graph_only=True,
    )
    camera_rate: float = setting(30.0, "camera rate in real time, Hz", minimum=0.1, maximum=120.0, graph_only=True)
    sync_tolerance: float = setting(0.1, "largest time between the readings of one observation, s", minimum=0.001)
    sensor_timeout: float = setting(
        5.0, "a sensor silent for longer is reported and the policy holds, s", minimum=0.01, graph_only=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.is_mirrored and not self.is_real:
            raise ValueError(
                f"env.mirror must be {REAL_ROBOT} with env.simulator {self.simulator}, got {self.mirror}; a mirror "
                f"stands beside drivers that another program runs, so set env.simulator to {REAL_ROBOT}, or leave the "
                "mirror out"
            )

    @property
    def is_mirrored(self) -> bool:
        """Whether a simulator shows where the arms of a real robot are, and stands for its cameras and judge."""
        return self.mirror != REAL_ROBOT

    @property
    def scene_simulator(self) -> str:
        """The simulator that sim_node runs, or `REAL_ROBOT` where a run has no sim_node."""
        return self.mirror if self.is_real else self.simulator

    @property
    def has_scene(self) -> bool:
        """Whether sim_node is part of a run."""
        return self.scene_simulator != REAL_ROBOT

    @property
    def is_real(self) -> bool:
        """Whether the robot is a real one, so that nothing is simulated."""
        return self.simulator == REAL_ROBOT

    @property
    def is_lockstep(self) -> bool:
        """Whether simulated time stands still between control steps."""
        return not self.is_real and not self.realtime


@dataclasses.dataclass(frozen=True)
class ChunkLengthConfig(Checked):
    """Settings of the number k of executed control steps of a chunk, which docs/chunk-length.md explains."""

    length_rule: str = setting("fixed", "what k depends on", choices=("fixed", "scheduled", "uncertainty"))
    executed_steps: int = setting(
        0,
        "k at first: of version 0 where scheduled, of a sure chunk by uncertainty; 0 stands for model.action_horizon",
        minimum=0,
    )
    end_steps: int = setting(
        4, "k at last: after schedule_updates where scheduled, of an unsure chunk by uncertainty", minimum=1
    )
    schedule_updates: int = setting(100, "policy versions over which a scheduled k reaches end_steps", minimum=1)
    low_entropy: float = setting(0.7, "mean entropy up to which a chunk is sure, nats a token", minimum=0.0)
    high_entropy: float = setting(1.3, "mean entropy from which a chunk is unsure, nats a token", minimum=0.0)
    low_value: float = setting(
        0.0, "V(s) up to which a chunk is unsure, in units of reward; where equal to high_value, V(s) does not count"
    )
    high_value: float = setting(0.0, "V(s) from which a chunk is sure, in units of reward")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low_entropy < self.high_entropy:
            raise ValueError(
                f"chunk_length.high_entropy must be above chunk_length.low_entropy ({self.low_entropy}), got "
                f"{self.high_entropy}; chunk/entropy_* in the metrics say which entropies occur"
            )
        if self.low_value > self.high_value:
            raise ValueError(
                f"chunk_length.high_value must be at least chunk_length.low_value ({self.low_value}), got "
                f"{self.high_value}; value/mean in the metrics says which values occur"
            )
