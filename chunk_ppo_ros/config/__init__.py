"""The configuration of a run as frozen dataclasses with presets. Each section is a file and needs no other package."""

from chunk_ppo_ros.config.deploy import DeployConfig
from chunk_ppo_ros.config.entries.operate import OperateConfig
from chunk_ppo_ros.config.entries.recordings import RecordingsConfig
from chunk_ppo_ros.config.env import KINEMATIC, MUJOCO, REAL_ROBOT, SIMULATORS, ChunkLengthConfig, EnvConfig
from chunk_ppo_ros.config.episode import EpisodeConfig
from chunk_ppo_ros.config.imitation import PretrainConfig
from chunk_ppo_ros.config.model import Pi0FASTActorCriticConfig
from chunk_ppo_ros.config.ppo import PPOConfig
from chunk_ppo_ros.config.presets import MODELS, PRESETS, SIMULATED_ROBOT, TINY_MODEL
from chunk_ppo_ros.config.rewards import CLASSIFIER_SOURCE, TASK_SOURCE, RewardConfig
from chunk_ppo_ros.config.robot import RobotConfig
from chunk_ppo_ros.config.run import RunConfig
from chunk_ppo_ros.config.schema import choices, from_dict, setting, to_dict
from chunk_ppo_ros.config.train import TrainConfig

__all__ = [
    "CLASSIFIER_SOURCE",
    "KINEMATIC",
    "MODELS",
    "MUJOCO",
    "PRESETS",
    "REAL_ROBOT",
    "SIMULATED_ROBOT",
    "SIMULATORS",
    "TASK_SOURCE",
    "TINY_MODEL",
    "ChunkLengthConfig",
    "DeployConfig",
    "EnvConfig",
    "EpisodeConfig",
    "OperateConfig",
    "PPOConfig",
    "Pi0FASTActorCriticConfig",
    "PretrainConfig",
    "RecordingsConfig",
    "RewardConfig",
    "RobotConfig",
    "RunConfig",
    "TrainConfig",
    "choices",
    "from_dict",
    "setting",
    "to_dict",
]
