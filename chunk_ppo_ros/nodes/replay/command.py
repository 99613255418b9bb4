"""The command `replay` feeds a recorded run through reward_node and trainer_node again.

It gives reward_node all that the recorded one has handled, in the same order, and trainer_node what comes of it. At the
end it says how many transitions came out equal, and ends with 1 where one differs. It commands no robot: the two nodes
are in a ROS domain of their own on this machine.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import rclpy
from rclpy.context import Context
from rclpy.logging import LoggingSeverity, set_logger_level

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.commands.runs import replay_parser
from chunk_ppo_ros.config.parameter_file import load_config_file
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.progress import RUN_ID
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.data.bags.bag_messages import Bags, opened
from chunk_ppo_ros.data.bags.storage.bag_folder import find_bags
from chunk_ppo_ros.nodes.common.ros_log_folder import ensure_log_folder
from chunk_ppo_ros.nodes.replay.comparison import Comparison, compare, stored_transitions
from chunk_ppo_ros.nodes.replay.conductor import Conductor
from chunk_ppo_ros.nodes.replay.handled import ReplayError
from chunk_ppo_ros.nodes.replay.recorded_run import RecordedRun, read_run
from chunk_ppo_ros.nodes.replay.replayed_referee import ReplayedRewardNode
from chunk_ppo_ros.nodes.replay.trainer_link import TrainerLink
from chunk_ppo_ros.nodes.replay.trainer_process import TrainerProcess, keep_off_the_network, settings_of_replay
from chunk_ppo_ros.reporting.progress.bar import progress_bar
from chunk_ppo_ros.runtime.ros_domain import claim_domain

PARAMETERS = "params.yaml"
"""The file with the settings of the recorded run, in the folder of the recording or the one above."""
ATTEMPTS, PAUSE = 100, 0.1
"""How often the folder of a replay is tried to be removed, and the time between two attempts, s."""


def main(arguments: Sequence[str]) -> int:
    """Runs `replay BAG`. The exit status is 1 where a transition differs, or there is none.

    Raises:
        UserError: where there is no recording, or it cannot be replayed.
    """
    given = replay_parser().parse_args(arguments)
    bags = tuple(_find(given.bag))
    config = _settings(Path(given.bag), given.params_file)
    recorded = read_run(bags)
    number = count_of(len(recorded.transitions), "transition")
    print(f"replays run {recorded.run_id} with {number} from {given.bag}", flush=True)
    if recorded.lost:
        lost = count_of(len(recorded.lost), "accepted transition")
        print(f"the recording lacks {lost}; what it lacks is not compared", flush=True)
    with _folder(given.output) as output:
        _replay(recorded, bags, settings_of_replay(config, output), patience=given.patience)
        results = _compare(recorded, bags, output, given.compare)
        for result in results:
            print(f"replay: {result}", flush=True)
    return 0 if all(result.is_equal for result in results) else 1


def _find(name: str) -> list[Path]:
    """Returns the parts of a recording.

    Raises:
        UserError: where the name is that of a run, or of nothing.
    """
    for run in (Path(name), Path("runs") / name):
        if (run / "store").is_dir():
            raise UserError(
                f"replay takes a recording, got the run {run}; give {run / 'bag'}, or make the updates of the run "
                f"again from its store by replay-updates {name}"
            )
    bags = find_bags(Path(name)) if Path(name).exists() else []
    if not bags:
        raise UserError(
            f"replay takes the folder of a recording, such as runs/mine/bag, got {name}, which has none; "
            "replay-updates takes the name of a run"
        )
    return bags


def _settings(bag: Path, given: str) -> TrainConfig:
    found = next((path for path in (bag / PARAMETERS, bag.parent / PARAMETERS) if path.is_file()), None)
    path = Path(given) if given else found
    if path is None:
        raise UserError(
            f"the settings of the recorded run must be known, got no {PARAMETERS} in {bag}; name their file by "
            "--params_file"
        )
    try:
        return load_config_file(path)
    except ValueError as error:
        raise UserError(str(error)) from error


@contextlib.contextmanager
def _folder(output: str) -> Iterator[Path]:
    """Yields the folder of the replay, which is removed where nobody asked for it."""
    if output:
        folder = Path(output) if Path(output).name != output else Path("runs") / output
        if folder.exists():
            raise UserError(f"--output must name a folder that is not there yet, got {folder}; take another name")
        yield folder.absolute()
        return
    place = Path(tempfile.mkdtemp(prefix="chunk_ppo_replay_"))
    try:
        yield place / "runs" / "replay"
    finally:
        remove(place)


def remove(folder: Path) -> None:
    """Removes a folder, in which the process that writes the page of the trainer's run may still make files.

    That process outlives a trainer that was stopped before the run was complete. It ends when the folder is gone.

    Raises:
        OSError: where the folder cannot be removed.
    """
    for _ in range(ATTEMPTS):
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
        if not folder.exists():
            return
        time.sleep(PAUSE)
    shutil.rmtree(folder)


def _replay(recorded: RecordedRun, bags: tuple[Path, ...], config: TrainConfig, *, patience: float) -> None:
    keep_off_the_network()
    ensure_log_folder()
    with contextlib.ExitStack() as stack:
        domain = stack.enter_context(claim_domain())
        trainer = TrainerProcess(config, domain_id=domain, environment={RUN_ID: recorded.run_id})
        stack.enter_context(trainer.running())
        context = Context()
        rclpy.init(args=["--ros-args", "--params-file", str(trainer.parameter_file)], context=context, domain_id=domain)
        stack.callback(context.try_shutdown)
        set_logger_level("reward_node", LoggingSeverity.ERROR)  # It would say again what the recorded one has said.
        reward = ReplayedRewardNode(context)
        stack.callback(reward.destroy_node)
        link = stack.enter_context(contextlib.closing(TrainerLink(context)))
        reader: Bags = stack.enter_context(opened(bags))
        conductor = Conductor(recorded, reward, link, reader.raw, patience=patience, go_on=trainer.goes_on)
        total = len(recorded.inputs)
        with progress_bar("replay", unit="input", total=total) as bar:
            conductor.run(on_input=lambda number: bar.set(number, total))


def _compare(recorded: RecordedRun, bags: tuple[Path, ...], output: Path, run: str) -> list[Comparison]:
    replayed = stored_transitions(output, recorded.run_id)
    with opened(bags) as reader:
        payloads = {number: functools.partial(reader.raw, place) for number, place in recorded.transitions.items()}
        results = [compare(payloads, replayed, source="those of the recording")]
    if run:
        folder = Path(run) if Path(run, "store").is_dir() else Path("runs") / run
        if not (folder / "store").is_dir():
            raise ReplayError(f"--compare must name the folder of a run, got {run}; give a folder such as runs/mine")
        stored = stored_transitions(folder, recorded.run_id)
        results.append(compare(stored, replayed, source=f"those that {folder} has stored"))
    return results
