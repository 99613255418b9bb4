"""Has the parts of reward_node that direct episodes, without ROS, with a clock and a robot_node that tests control."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import pytest
from chunk_ppo_msgs import msg
from chunk_ppo_msgs.srv import EndEpisode
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.config import PRESETS, DeployConfig, EnvConfig, EpisodeConfig, TrainConfig
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.data.store import Store
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.reward import episode_control
from chunk_ppo_ros.nodes.reward.durable.run_log import RunLog
from chunk_ppo_ros.nodes.reward.episode_control import EpisodeControl
from chunk_ppo_ros.nodes.reward.outcome_publisher import OutcomePublisher
from chunk_ppo_ros.nodes.reward.resets import reset_routines
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.reward.transition_outbox import TransitionOutbox
from chunk_ppo_ros.rewards.bookkeeping.episode_progress import Closing
from chunk_ppo_ros.rewards.episodes import Ending, Event, Phase
from support.fake_node import FakeClient, FakeNode, SteadyClock

CALLS: dict[str, tuple[str, Any, type]] = {
    "start_episode": ("start_episode", Trigger.Request(), Trigger.Response),
    "reset_done": ("reset_done", Trigger.Request(), Trigger.Response),
    "reset": ("reset", Trigger.Request(), Trigger.Response),
    "success": ("end_episode", EndEpisode.Request(outcome=Ending.SUCCESS), EndEpisode.Response),
    "failure": ("end_episode", EndEpisode.Request(outcome=Ending.FAILURE), EndEpisode.Response),
    "discard": ("end_episode", EndEpisode.Request(outcome=Ending.DISCARDED), EndEpisode.Response),
    "pause": ("pause", SetBool.Request(data=True), SetBool.Response),
    "go on": ("pause", SetBool.Request(data=False), SetBool.Response),
}
"""What an operator may ask for: the service, its request, and the type of its response."""


class EpisodeRig:
    """The parts of reward_node for episodes.

    Args:
        folder: where the run has its folder.
        monkeypatch: sets the clock of the modules under test.
        run_id: the run, or an empty string for none yet.
        env: the settings of the environment, of a real robot by default.
        deploy: the settings of a deployment, of none by default.
        episode: settings of episodes.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch,
        *,
        run_id: str = "run",
        env: EnvConfig | None = None,
        deploy: DeployConfig | None = None,
        **episode: Any,
    ) -> None:
        base = PRESETS["debug"]
        run = dataclasses.replace(base.run, run_dir=str(folder), exp_name="robot")
        env = env or EnvConfig(simulator="none")
        deploy = deploy or DeployConfig()
        self.config = dataclasses.replace(base, env=env, run=run, deploy=deploy, episode=EpisodeConfig(**episode))
        self.clock = SteadyClock()
        for module in (episode_control, reset_routines):
            monkeypatch.setattr(module, "time", self.clock)
        self.node = FakeNode()
        self.node.present["scripted_motion"] = ["robot_node"]
        self.records = RunRecords(self.config, prompt_for=lambda number: f"task {number}")
        self.control = self._make_control(self.config)
        if run_id:
            self.begin_run(run_id)

    def _make_control(self, config: TrainConfig) -> EpisodeControl:
        node: Any = self.node
        conditions = Conditions(node)
        self.log = RunLog(node, conditions, Store(config.run.folder / "store" / "reward", name="reward"))
        self.log.open()
        outbox = TransitionOutbox(node, conditions, self.log)
        outcomes = OutcomePublisher(node, self.log)
        return EpisodeControl(node, config, self.records, outbox, outcomes, self.log, conditions, deliver=lambda: None)

    @property
    def phase(self) -> Phase:
        """The phase of the present episode."""
        return self.records.episodes.phase

    @property
    def start_pose(self) -> FakeClient:
        """The client of robot_node/go_to_start_pose."""
        return self.node.clients["robot_node/go_to_start_pose"]

    def begin_run(self, run_id: str) -> None:
        """Begins a run, as reward_node does when a trainer announces it."""
        self.records.begin(run_id, next_episode=self.control.director.next_number(run_id))
        self.control.begin_run(run_id)
        self.control.director.next_episode("the run begins")

    def tick(self, seconds: float = 0.1) -> None:
        """Lets some time pass, and then one tick of the node."""
        self.clock.now += seconds
        self.control.tick(self.clock.now)

    def call(self, name: str) -> tuple[bool, str]:
        """Calls a service as an operator, and returns the answer."""
        service, request, response_type = CALLS[name]
        response = self.node.services[service](request, response_type())
        return response.success, response.message

    def run_chunk(self, *, number: int = 0) -> None:
        """Lets the policy send a chunk, which the robot does not end."""
        id = ChunkId(self.records.run_id, number, self.records.episodes.episode, 0)
        self.records.join.add_chunk(5, id, np.zeros((4, 14), np.float32), 4, now=self.clock.now)

    def reach_time_limit(self) -> None:
        """Lets the episode end by its time limit, and wait for the value after it."""
        id = ChunkId(self.records.run_id, 0, self.records.episodes.episode, 0)
        self.records.closing = Closing(id, 0, Ending.TIME_LIMIT, "the time limit is reached")

    def take_over(self, human: bool, *, message: str = "", leaders: int = msg.TakeoverState.FREE) -> None:
        """Lets robot_node tell who drives, and report_intake note it."""
        state = msg.TakeoverState(human=human, message=message, leaders=leaders)
        self.node.subscribers["takeover_state"](state)
        self.records.set_driver(human=human)

    def events(self) -> list[tuple[int, Event, Ending]]:
        """Returns the changes that were published since the last call: episode, event and outcome."""
        return [
            (event.episode, Event(event.event), Ending(event.outcome)) for event in self.node.published("episode_event")
        ]

    def state(self) -> msg.EpisodeState:
        """Returns the newest state that was published, after a second in which nothing happened."""
        self.tick(1.0)
        state: msg.EpisodeState = self.node.published("episode_state")[-1]
        return state

    def status(self) -> Any:
        """Returns the newest status of reward_node on /diagnostics."""
        self.tick(1.0)
        return self.node.published("/diagnostics")[-1].status[0]
