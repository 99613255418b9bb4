"""The configuration of a run with all its sections, and the checks that need several of them."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config.deploy import DeployConfig
from chunk_ppo_ros.config.entries.cameras import check_cameras
from chunk_ppo_ros.config.entries.operate import OperateConfig
from chunk_ppo_ros.config.entries.recordings import RecordingsConfig
from chunk_ppo_ros.config.env import KINEMATIC, MUJOCO, REAL_ROBOT, ChunkLengthConfig, EnvConfig
from chunk_ppo_ros.config.episode import OPERATOR, EpisodeConfig
from chunk_ppo_ros.config.imitation import PretrainConfig
from chunk_ppo_ros.config.model import Pi0FASTActorCriticConfig
from chunk_ppo_ros.config.ppo import PPOConfig
from chunk_ppo_ros.config.rewards import RewardConfig
from chunk_ppo_ros.config.robot import RobotConfig
from chunk_ppo_ros.config.run import RunConfig


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The configuration of a run, section by section."""

    model: Pi0FASTActorCriticConfig = dataclasses.field(default_factory=Pi0FASTActorCriticConfig)
    ppo: PPOConfig = dataclasses.field(default_factory=PPOConfig)
    env: EnvConfig = dataclasses.field(default_factory=EnvConfig)
    episode: EpisodeConfig = dataclasses.field(default_factory=EpisodeConfig)
    chunk_length: ChunkLengthConfig = dataclasses.field(default_factory=ChunkLengthConfig)
    robot: RobotConfig = dataclasses.field(default_factory=RobotConfig)
    reward: RewardConfig = dataclasses.field(default_factory=RewardConfig)
    operate: OperateConfig = dataclasses.field(default_factory=OperateConfig)
    pretrain: PretrainConfig = dataclasses.field(default_factory=PretrainConfig)
    recordings: RecordingsConfig = dataclasses.field(default_factory=RecordingsConfig)
    run: RunConfig = dataclasses.field(default_factory=RunConfig)
    deploy: DeployConfig = dataclasses.field(default_factory=DeployConfig)

    def __post_init__(self) -> None:
        check_cameras(self.model.cameras, self.robot.optional_cameras)
        if self.ppo.num_chunks_per_update % self.ppo.num_chunks_per_step:
            raise ValueError(
                "ppo.num_chunks_per_update must be a multiple of ppo.batch_size * ppo.gradient_accumulation_steps "
                f"({self.ppo.num_chunks_per_step}), got {self.ppo.num_chunks_per_update}; change one of them (all "
                "minibatches need the same shape, so that nothing recompiles)"
            )
        if len(self.pretrain.episode_cameras) not in (0, len(self.model.cameras)):
            raise ValueError(
                f"pretrain.episode_cameras must name each of model.cameras ({', '.join(self.model.cameras)}), got "
                f"{', '.join(self.pretrain.episode_cameras)}; name one for each, in that order"
            )
        if self.ppo.gae_value == "chunk" and self.model.chunk_value == "none":
            raise ValueError(
                "ppo.gae_value must be observation where model.chunk_value is none, got chunk; set model.chunk_value"
            )
        if self.reward.effort_penalty and self.env.simulator == KINEMATIC:
            raise ValueError(
                f"reward.effort_penalty must be 0 with env.simulator {KINEMATIC}, got {self.reward.effort_penalty}; "
                f"that simulator has no forces, so set env.simulator to {MUJOCO}"
            )
        if self.reward.scene_terms and not self.env.has_scene:
            raise ValueError(
                f"reward.scene_terms must be empty with env.simulator {REAL_ROBOT}, got "
                f"{', '.join(self.reward.scene_terms)}; a real robot has no simulated scene, so write a reward source "
                "(docs/rewards.md)"
            )
        if self.episode.reset != OPERATOR and not self.env.is_real:
            raise ValueError(
                f"episode.reset must be {OPERATOR} with env.simulator {self.env.simulator}, got {self.episode.reset}; "
                f"the simulator resets its own scene, so leave it out, or set env.simulator to {REAL_ROBOT}"
            )
        if self.episode.prompts and self.run.prompt:
            raise ValueError(
                f"run.prompt must be empty where episode.prompts are given ({', '.join(self.episode.prompts)}), got "
                f"'{self.run.prompt}'; leave it out, or add it to episode.prompts"
            )
        if self.robot.shadow and self.env.is_lockstep:
            raise ValueError(
                "robot.shadow must be false in lockstep, got true; simulated time stands still there without commands, "
                "so set env.realtime"
            )
        _check_chunk_length(self.chunk_length, self.model, self.ppo)

    @property
    def max_episode_steps(self) -> int:
        """The time limit of an episode in executed control steps."""
        return self.env.max_episode_chunks * self.model.action_horizon


def _check_chunk_length(length: ChunkLengthConfig, model: Pi0FASTActorCriticConfig, ppo: PPOConfig) -> None:
    """Refuses lengths beyond the horizon, and a discount per chunk where chunks differ in length.

    With such a discount a step of a short chunk would be discounted more than one of a long chunk. The policy would
    then gain from appearing sure, whether it is or not.
    """
    horizon = model.action_horizon
    if length.executed_steps > horizon:
        raise ValueError(
            f"chunk_length.executed_steps must be at most model.action_horizon ({horizon}), got "
            f"{length.executed_steps}; lower it (0 executes the whole chunk)"
        )
    if length.length_rule == "fixed":
        return
    most = horizon if length.length_rule == "scheduled" else length.executed_steps or horizon
    if length.end_steps > most:
        raise ValueError(
            f"chunk_length.end_steps must be at most {most} where chunk_length.length_rule is {length.length_rule}, "
            f"got {length.end_steps}; lower it"
        )
    if not (ppo.discount_per_step or ppo.gamma == 1.0):
        raise ValueError(
            f"ppo.discount_per_step must be set where chunk_length.length_rule is {length.length_rule}, got false; "
            f"set it, and ppo.gamma_step {ppo.gamma ** (1 / horizon):.4f} to keep {ppo.gamma} per whole chunk"
        )
