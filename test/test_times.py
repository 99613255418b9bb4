"""Tests periods and time-outs of the processes of a run, and how they fit each other."""

from __future__ import annotations

import signal

from chunk_ppo_ros.nodes.classifier import classifier_node
from chunk_ppo_ros.nodes.common import conditions, runner
from chunk_ppo_ros.nodes.reward import reward_node
from chunk_ppo_ros.nodes.robot import control_pace
from chunk_ppo_ros.nodes.sim import episode_starter, sim_node
from chunk_ppo_ros.nodes.trainer.versions import update_cycle
from chunk_ppo_ros.runtime import interrupts, supervisor
from chunk_ppo_ros.runtime.restarts import respawns


def test_no_process_waits_for_longer_than_half_a_second_before_it_looks() -> None:
    periods = {
        "classifier_node": classifier_node.WATCH_PERIOD,
        "reward_node": reward_node.TICK,
        "robot_node": control_pace.WATCH_PERIOD,
        "sim_node": sim_node.HEARTBEAT_PERIOD,
        "start_episode": episode_starter.RETRY_PERIOD,
        "a signal": runner.SPIN_PERIOD,
        "a lost Ctrl-C": interrupts.RESEND_DELAY,
        "the supervisor": supervisor.POLL_PERIOD,
    }
    assert not {name: period for name, period in periods.items() if not 0.0 < period <= 0.5}


def test_joint_states_are_overdue_before_the_watch_has_looked_twice() -> None:
    """robot_node stops the motion after `robot.state_timeout`, by default 0.5 s, and must see it soon."""
    assert control_pace.WATCH_PERIOD <= 0.1


def test_what_is_tried_again_is_tried_soon_and_not_all_the_time() -> None:
    assert 1.0 <= episode_starter.ANSWER_TIMEOUT <= 2.5
    assert 5.0 <= update_cycle.SAVE_RETRY_PERIOD <= 10.0
    assert 0.5 <= respawns.RESPAWN_DELAY <= 1.5
    assert respawns.RESPAWN_DELAY < respawns.MAX_RESPAWN_DELAY <= 60.0


def test_the_state_of_nodes_is_published_once_a_second() -> None:
    assert conditions.DIAGNOSTICS_PERIOD == 1.0


def test_a_stop_is_polite_first_and_over_within_five_seconds() -> None:
    assert [number for _, number in supervisor.STOP_STEPS] == [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
    assert [after for after, _ in supervisor.STOP_STEPS] == [0.0, 2.0, 4.0]
