"""Runs imitation, PPO over ROS 2 topics on a simulated ALOHA, and an evaluation before and after PPO, in minutes.

Both evaluations use the same unseen starts. Both decode greedily, so that they take the likeliest token each time.
Training samples tokens instead, because PPO learns from the differences between chunks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from chunk_ppo_ros.agent.env import check_simulated
from chunk_ppo_ros.agent.run_start.starting_checkpoint import check_is_new
from chunk_ppo_ros.config import KINEMATIC, MUJOCO, TrainConfig, flags
from chunk_ppo_ros.config.commands.training import demo_defaults, demo_parser
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.core.errors import SettingError, UserError
from chunk_ppo_ros.core.folders import check_folder, removed_after_failure
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.evaluation.evaluate import EvaluationResult, compare, evaluate_checkpoint, evaluation_start
from chunk_ppo_ros.evaluation.video import EpisodeCommands, shown_pair, write_video
from chunk_ppo_ros.imitation.clone_demonstrations import clone_demonstrations
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.step_folders import newest_checkpoint
from chunk_ppo_ros.reporting.metrics_file import MetricsFile
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.reporting.page.page import PAGE_NAME, VIDEOS
from chunk_ppo_ros.reporting.progress import progress_bar
from chunk_ppo_ros.reporting.report import write_report
from chunk_ppo_ros.runtime.claims.run_folder import claim_run
from chunk_ppo_ros.runtime.description import LOGS
from chunk_ppo_ros.runtime.graph import describe, network_environment, wanted_domain
from chunk_ppo_ros.runtime.graph_flags import with_graph_flags
from chunk_ppo_ros.runtime.process_pool import worker_pool
from chunk_ppo_ros.runtime.ros_domain import claim_domain
from chunk_ppo_ros.runtime.supervisor import Supervisor
from chunk_ppo_ros.sim.rendering import rendering_available


class GraphFailed(UserError):
    """The graph of nodes ended before the training was complete."""


def demonstrate(config: TrainConfig, *, episodes: int, record: bool) -> int:
    """Runs imitation, training over ROS 2 and both evaluations, and returns the exit status.

    The folder of the run is claimed before anything else, because a refusal after the imitation would cost minutes.

    Raises:
        SettingError: when another process uses the folder of the run.
        GraphFailed: when a node failed; its log says why.
    """
    with claim_run(config.run.folder):
        return _demonstrate(config, episodes=episodes, record=record)


def _demonstrate(config: TrainConfig, *, episodes: int, record: bool) -> int:
    started = time.monotonic()
    directory = config.run.checkpoint_folder
    print(f"== 1/3 imitation of scripted demonstrations on the {config.env.simulator} simulator", flush=True)
    imitation = clone_demonstrations(config, directory.with_name(f"{directory.name}-imitation"))
    start = str(imitation.resolve())
    run = dataclasses.replace(config.run, pretrained_checkpoint_path=start, on_load_failure="fail")
    config = dataclasses.replace(config, run=run)
    print(f"== 2/3 chunk PPO over ROS 2 topics ({time.monotonic() - started:.0f} s so far)", flush=True)
    train_over_ros(config, record=record)
    print(f"== 3/3 evaluation on {episodes} unseen starts ({time.monotonic() - started:.0f} s so far)", flush=True)
    newest = newest_checkpoint(directory)
    if newest is None:
        raise GraphFailed(f"training ended without a checkpoint in {directory}; see the logs in {_logs(config)}")
    before, after = _evaluate_both((imitation, newest), config, episodes=episodes)
    page = _report(config, before, after, Checkpoint.open(newest).require_metadata().counters)
    print(f"the demo took {time.monotonic() - started:.0f} s\nopen its page in a browser: {page.resolve()}")
    return 0


def train_over_ros(config: TrainConfig, *, record: bool) -> None:
    """Runs the graph of nodes until the training has reached its end.

    Raises:
        GraphFailed: when a node failed; its log says why.
        KeyboardInterrupt: when a signal ended the graph.
    """
    wanted = wanted_domain(None, config)
    domain = claim_domain(wanted, run=config.run.exp_name, makes_time=config.env.is_lockstep)
    with domain as domain_id:
        print(f"set ROS_DOMAIN_ID={domain_id} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST to see the topics", flush=True)
        started = with_graph_flags(RunStart(), {"record": record})
        environment = {**network_environment(discovery="localhost"), **started.environment}
        status = Supervisor(describe(config, record=record), domain_id=domain_id, environment=environment).run()
    if status > 128:  # A signal ended the graph.
        raise KeyboardInterrupt
    if status:
        raise GraphFailed(f"the graph ended with status {status}; its last lines and {_logs(config)} say why")


def _logs(config: TrainConfig) -> Path:
    """Returns the folder with the logs of the nodes of the run."""
    return config.run.folder / LOGS


def _evaluate_both(
    paths: tuple[Path, Path], config: TrainConfig, *, episodes: int
) -> tuple[EvaluationResult, EvaluationResult]:
    """Evaluates both checkpoints at the same time, each in a separate process, and films both on one start."""
    with worker_pool(len(paths)) as pool:
        settings = {"episodes": episodes, "greedy": True}
        # The first policy solves less, so that it takes longer. Its bar shows how far both are.
        bars = ("evaluation of both policies", "")
        results = [
            pool.apply_async(_evaluate, (path, config), {**settings, "bar": bar})
            for path, bar in zip(paths, bars, strict=True)
        ]
        (before, commands_before), (after, commands_after) = (result.get() for result in results)
        episode = shown_pair(before.success, after.success)
        start = evaluation_start(config.run.seed, episode)
        films = [
            pool.apply_async(_film, (config.run.folder / name, config, start, commands.of(episode)))
            for name, commands in zip(VIDEOS, (commands_before, commands_after), strict=True)
        ]
        for film in films:
            film.get()
    return before, after


def _evaluate(
    path: Path, config: TrainConfig, *, episodes: int, greedy: bool, bar: str
) -> tuple[EvaluationResult, EpisodeCommands]:
    """Opens and evaluates a checkpoint. It runs in a worker process, to which an opened checkpoint cannot be sent.

    `bar` is what its bar says; an empty text shows none.
    """
    commands = EpisodeCommands()
    checkpoint = Checkpoint.open(path)
    with contextlib.ExitStack() as stack:
        on_episode: Callable[[], object] = lambda: None  # noqa: E731
        if bar:
            on_episode = stack.enter_context(progress_bar(bar, unit="episode", total=episodes, compiles=True)).update
        result = evaluate_checkpoint(
            checkpoint, config, episodes=episodes, greedy=greedy, on_episode=on_episode, on_outcome=commands
        )
    return result, commands


def _film(path: Path, config: TrainConfig, start: int, commands: np.ndarray) -> None:
    """Writes the video of an episode, in a worker process, whose MuJoCo renders already."""
    write_video(path, config, start=start, commands=commands)


def _report(config: TrainConfig, before: EvaluationResult, after: EvaluationResult, counters: Counters) -> Path:
    """Prints both results and their comparison, adds them to the metrics, and returns the page of the run."""
    run_dir = config.run.folder
    test = compare(before, after)
    log = MetricsLog(MetricsFile(run_dir), run_dir=run_dir, run_id=counters.run_id)
    log.write("evaluation", before.metrics(), counters=Counters(counters.run_id), labels=before.labels)
    log.write("evaluation", after.metrics() | test.metrics(), counters=counters, labels=after.labels)
    log.close()
    summary = write_report(run_dir)
    print(f"before: {before}\nafter:  {after}\npaired test of success: {test}\nsummary: {summary}")
    return summary.with_name(PAGE_NAME)


def _choose_simulator(config: TrainConfig) -> TrainConfig:
    """Returns the configuration with the kinematic simulator where MuJoCo cannot render, and then prints the reason."""
    reason = rendering_available() if config.env.simulator == MUJOCO else None
    if reason is None:
        return config
    print(f"MuJoCo cannot render here, so the {KINEMATIC} simulator is used: {reason}", flush=True)
    return dataclasses.replace(config, env=dataclasses.replace(config.env, simulator=KINEMATIC))


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo demo`."""
    parser = demo_parser()
    parsed = parser.parse_args(arguments)
    if parsed.exp_name is None:
        parsed.exp_name = time.strftime("demo-%Y%m%d-%H%M%S")
    if parsed.episodes < 2:
        parser.error(f"--episodes must be at least 2 for an interval, got {parsed.episodes}")
    base = None if parsed.config_is_given else demo_defaults().config
    config = _choose_simulator(flags.config_or_exit(parser, parsed, base=base))
    _check(config)
    return demonstrate(config, episodes=parsed.episodes, record=parsed.record)


def _check(config: TrainConfig) -> None:
    """Refuses what one of the later parts would refuse minutes later.

    Raises:
        SettingError: for a run that goes on, a folder that cannot be written, or no ROS domain.
        CheckpointError: for the name of a run that has checkpoints.
        RewardError, RegistryError, SimulatorUnavailable: as `check_simulated` says.
    """
    if config.run.resume:
        raise SettingError(
            "run.resume must be off, because a demo always begins with a new imitation; go on with the run of a "
            "stopped demo by the command on its page, or by `chunk_ppo graph --config demo --exp_name NAME --resume`"
        )
    check_is_new(config.run)
    wanted_domain(None, config)
    with removed_after_failure(config.run.folder):
        check_folder(config.run.folder, "run.run_dir")
        check_simulated(config)
