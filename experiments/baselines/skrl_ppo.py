"""Trains the Gaussian chunk policy by skrl's PPO on JAX. It needs the packages of requirements/experiments.txt.

skrl (Serrano-Munoz et al. 2023, "skrl: modular and flexible library for reinforcement learning") brings its own
rollouts, GAE, clipping, epochs, minibatches and Adam. Settings that the token policy has as well (rollout, discount,
clip range, gradient norm, stop by KL, learning rate of the critic) have the same values. The others are tuned.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.serialization
import jax
import jax.numpy as jnp
import skrl
import skrl.utils
from flax import linen as nn
from skrl.agents.jax.ppo import PPO, PPO_CFG
from skrl.envs.wrappers.jax import wrap_env
from skrl.memories.jax import RandomMemory
from skrl.models.jax import DeterministicMixin, GaussianMixin, Model
from skrl.trainers.jax import StepTrainer
from skrl.utils.spaces.jax import unflatten_tensorized_space

from chunk_ppo_ros.agent.env import ChunkEnv
from chunk_ppo_ros.agent.rollout_worker import EpisodeSummary
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.reporting.run_metrics import time_metrics
from experiments.baselines import snapshot
from experiments.baselines.gaussian_actor import GaussianActor
from experiments.baselines.gaussian_imitation import GaussianStart
from experiments.baselines.gaussian_network import ChunkNetwork, GaussianChunkPolicy
from experiments.baselines.gym_env import ChunkGymEnv


class _Policy(GaussianMixin, Model):
    """Gives `GaussianChunkPolicy` the interface of skrl. flax copies it, with the arguments of `Model` alone."""

    def __init__(self, **arguments: Any) -> None:
        Model.__init__(self, **arguments)
        GaussianMixin.__init__(self, clip_actions=False)

    @nn.compact
    def __call__(self, inputs: dict[str, Any], role: str) -> tuple[jax.Array, dict[str, Any]]:
        """Returns the mean [B, A], and the logarithm of the standard deviations as "log_std"."""
        images, state = _seen(self, inputs)
        network = GaussianChunkPolicy(images.shape[-1] // 3, self.num_actions, name="policy")
        mean, log_std = network(images, state)
        return mean, {"log_std": log_std}


class _Value(DeterministicMixin, Model):
    """Gives a critic, which shares nothing with the policy, the interface of skrl."""

    def __init__(self, **arguments: Any) -> None:
        Model.__init__(self, **arguments)
        DeterministicMixin.__init__(self)

    @nn.compact
    def __call__(self, inputs: dict[str, Any], role: str) -> tuple[jax.Array, dict[str, Any]]:
        """Returns V(s), [B, 1]."""
        images, state = _seen(self, inputs)
        return ChunkNetwork(images.shape[-1] // 3, 1, name="value")(images, state), {}


def _seen(model: Model, inputs: dict[str, Any]) -> tuple[jax.Array, jax.Array]:
    """Returns the images [B, h, w, C * 3] and the state [B, S] of skrl's flat observations."""
    seen = unflatten_tensorized_space(model.observation_space, inputs["observations"])
    return seen["images"], seen["state"]


class GaussianPPO:
    """Runs skrl's PPO as a `methods.Method`.

    Of the section `ppo` it reads num_chunks_per_update, num_epochs_per_update, batch_size, learning_rate (constant),
    value_learning_rate, gamma, gae_lambda, clip_coef, max_grad_norm and target_kl.

    Args:
        config: the configuration of the curve, with its folders.
        env: the environment of the rollouts.
        initial_std: the factor on the standard deviations that imitation found, > 0.
        greedy: whether `policy` takes the mean instead of sampling.
    """

    def __init__(self, config: TrainConfig, env: ChunkEnv, *, initial_std: float, greedy: bool) -> None:
        skrl.config.jax.device = jax.devices()[0]
        skrl.utils.set_seed(config.run.seed)
        self._config = config
        found = snapshot.read(config.run)
        self.counters = found[0] if found else Counters(f"{config.run.exp_name}-gaussian_ppo")
        start = GaussianStart.load(Path(config.run.pretrained_checkpoint_path), config)
        basis = start.basis(config)
        self._env = ChunkGymEnv(env, basis, config, first_episode=self.counters.next_episode)
        wrapped = wrap_env(self._env, wrapper="gymnasium", verbose=False)
        self._agent = _make_agent(config, wrapped)
        _set_policy(self._agent, start.params["params"], initial_std=initial_std)
        if found:
            _restore(self._agent, found[1])
        cfg = {"headless": True, "disable_progressbar": True, "close_environment_at_exit": False}
        self._trainer = StepTrainer(env=wrapped, agents=self._agent, cfg=cfg)
        self._actor = GaussianActor(config, basis, _policy_params(self._agent), greedy=greedy)

    @property
    def run_id(self) -> str:
        """The identity of the run."""
        return self.counters.run_id

    @property
    def policy(self) -> GaussianActor:
        """The present policy, which samples or takes the mean as `greedy` says."""
        self._actor.params = _policy_params(self._agent)
        return self._actor

    def update(self) -> tuple[Metrics, Sequence[EpisodeSummary]]:
        """Makes one rollout, and skrl's update after its last chunk.

        Returns:
            What `methods.Method` says, and a metric of its own: `gaussian/std`, the standard deviation of the policy as
            a mean over the dimensions of its actions.
        """
        began, num_chunks = time.monotonic(), self._config.ppo.num_chunks_per_update
        for number in range(self.counters.num_chunks, self.counters.num_chunks + num_chunks):
            self._trainer.train(timestep=number, timesteps=self._config.ppo.total_timesteps)
        updating = self._agent.tracking_data["Stats / Algorithm update time (ms)"][-1] / 1e3
        self._agent.tracking_data.clear()
        episodes = self._env.pop_episodes()
        self.counters = dataclasses.replace(
            self.counters,
            policy_version=self.counters.policy_version + 1,
            num_chunks=self.counters.num_chunks + num_chunks,
            num_steps=self.counters.num_steps + sum(episode.num_steps for episode in episodes),
            next_episode=self._env.next_episode,
        )
        deviation = float(jnp.mean(jnp.exp(_policy_params(self._agent)["params"]["log_std"])))
        times = time_metrics(rollout=time.monotonic() - began - updating, update=updating)
        return Metrics({"gaussian/std": deviation}) | times, episodes

    def save(self) -> None:
        """Writes the weights and the optimizer states of both networks to the snapshot."""
        snapshot.write(self._config.run, self.counters, **_modules(self._agent))


def _modules(agent: PPO) -> dict[str, Any]:
    """Returns by name everything that training changes: parameters and optimizer states."""
    return {
        **{role: model.state_dict.params for role, model in agent.models.items()},
        "policy_optimizer": agent.policy_optimizer.state,
        "value_optimizer": agent.value_optimizer.state,
    }


def _restore(agent: PPO, states: Mapping[str, Any]) -> None:
    """Puts what `_modules` returned, and a snapshot stored, back into the agent."""
    modules = {
        name: flax.serialization.from_state_dict(module, states[name]) for name, module in _modules(agent).items()
    }
    for role, model in agent.models.items():
        model.state_dict = model.state_dict.replace(params=modules[role])
    agent.policy_optimizer = agent.policy_optimizer.replace(state=modules["policy_optimizer"])
    agent.value_optimizer = agent.value_optimizer.replace(state=modules["value_optimizer"])


def _policy_params(agent: PPO) -> Any:
    """Returns the parameters in the form that `GaussianChunkPolicy` takes."""
    return {"params": agent.policy.state_dict.params["params"]["policy"]}


def _set_policy(agent: PPO, params: Any, *, initial_std: float) -> None:
    scaled = {**params, "log_std": params["log_std"] + jnp.log(initial_std)}
    model = agent.policy
    model.state_dict = model.state_dict.replace(params={"params": {"policy": scaled}})


def _make_agent(config: TrainConfig, env: Any) -> PPO:
    ppo = config.ppo
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space, "device": env.device}
    models: dict[str, Model] = {"policy": _Policy(**spaces), "value": _Value(**spaces)}
    for role, model in models.items():
        model.init = jax.jit(model.init, static_argnums=2)  # This compiles one program instead of dozens.
        model.init_state_dict(role=role, key=jax.random.key(config.run.seed))
    cfg = PPO_CFG(
        rollouts=ppo.num_chunks_per_update,
        learning_epochs=ppo.num_epochs_per_update,
        mini_batches=ppo.num_chunks_per_update // ppo.batch_size,
        discount_factor=ppo.gamma,
        gae_lambda=ppo.gae_lambda,
        learning_rate=(ppo.learning_rate, ppo.value_learning_rate),
        grad_norm_clip=ppo.max_grad_norm,
        ratio_clip=ppo.clip_coef,
        value_clip=0.0,
        value_loss_scale=1.0,
        kl_threshold=ppo.target_kl,
        time_limit_bootstrap=True,
        experiment={"write_interval": 0, "checkpoint_interval": 0},
    )
    memory = RandomMemory(memory_size=ppo.num_chunks_per_update, num_envs=1, device=env.device, replacement=False)
    return PPO(models=models, memory=memory, cfg=cfg, **spaces)
