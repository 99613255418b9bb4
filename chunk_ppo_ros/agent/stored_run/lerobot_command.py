"""The command `export-lerobot` writes a run, a bag or any recording as a LeRobot dataset of version 3."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from chunk_ppo_ros.agent.stored_run.run_folders import STORES, read_live_store
from chunk_ppo_ros.config import PRESETS, TrainConfig, flags
from chunk_ppo_ros.config.commands.recordings import export_lerobot_parser
from chunk_ppo_ros.config.parameter_file import load_config_file
from chunk_ppo_ros.core.errors import EpisodesError, SettingError
from chunk_ppo_ros.core.folders import check_folder, removed_after_failure
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.data.bags.rollout_bag import RolloutBagReader
from chunk_ppo_ros.data.episode import Episode, LeftOut, camera_names
from chunk_ppo_ros.data.lerobot.writing.dataset_writer import write_dataset
from chunk_ppo_ros.data.lerobot.writing.form import MEASURED, DatasetForm, form_of
from chunk_ppo_ros.data.readers import iterate_episodes
from chunk_ppo_ros.data.rollout_journal import NAME as JOURNAL
from chunk_ppo_ros.data.stored_episodes import read_stored_episodes
from chunk_ppo_ros.reporting.progress import progress_bar

BAG, PARAMETERS = "bag", "params.yaml"
"""The names of the recording and of the settings in the folder of a run."""


@dataclasses.dataclass(frozen=True)
class Source:
    """What is exported.

    Attributes:
        path: a recording, or the folder of a run whose stored transitions are taken.
        is_store: whether it is the latter.
        parameters: the settings of the run, or None where the source is of no run.
    """

    path: Path
    is_store: bool
    parameters: Path | None

    @classmethod
    def find(cls, name: str, *, from_store: bool, runs: Path = Path("runs")) -> Source:
        """Returns what a path, or the name of a run, stands for.

        Args:
            name: the path, or the name of a run below `runs`.
            from_store: whether stored transitions are taken although the run has a bag.
            runs: the folder of the runs.

        Raises:
            EpisodesError: where nothing is there, or the run has neither a bag nor stored transitions.
        """
        path = next((each for each in (Path(name), runs / name) if each.exists()), None)
        if path is None:
            raise EpisodesError(
                f"a source must be a recording, the folder of a run or the name of one below {runs}/, got '{name}', "
                "which does not exist; check the path"
            )
        parameters = next((each for each in (path / PARAMETERS, path.parent / PARAMETERS) if each.is_file()), None)
        if _is_run(path):
            has_bag, has_store = (path / BAG).is_dir(), (path / STORES / JOURNAL).is_dir()
            if has_bag and not from_store:
                return cls(path / BAG, is_store=False, parameters=parameters)
            if has_store:
                return cls(path, is_store=True, parameters=parameters)
            found, advice = "neither", "record runs by --record (record:=true of the launch file)"
            if has_bag:
                found, advice = "a bag alone", "leave out --from_store"
            raise EpisodesError(f"a run must have a bag or stored transitions, got {path} with {found}; {advice}")
        if from_store:
            raise EpisodesError(
                f"--from_store must be given with the folder of a run, got {path}; leave --from_store out"
            )
        return cls(path, is_store=False, parameters=parameters)

    def episodes(self, config: TrainConfig) -> Iterator[Episode | LeftOut]:
        """Yields the episodes of the source."""
        if not self.is_store:
            return iterate_episodes(self.path, config)
        return read_stored_episodes(
            read_live_store(self.path / STORES / JOURNAL, check_payloads=False),
            self.path,
            rate=config.robot.control_rate,
            cameras=camera_names(config),
            prompt=config.run.prompt,
        )


def _is_run(path: Path) -> bool:
    """Returns whether a folder is that of a run. A bag of a run has the parameters of the run too."""
    if any((path / name).is_dir() for name in (STORES, BAG)):
        return True
    return (path / PARAMETERS).is_file() and not RolloutBagReader().recognizes(path)


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo export-lerobot SOURCE OUTPUT`."""
    parser = export_lerobot_parser()
    parsed = parser.parse_args(arguments)
    if parsed.output.exists():
        raise SettingError(f"the folder of the dataset must not exist yet, got {parsed.output}; name another")
    source = Source.find(parsed.source, from_store=parsed.from_store)
    check_folder(parsed.output.parent, "OUTPUT")
    config = flags.config_or_exit(parser, parsed, base=_base(source, parsed.config, is_given=parsed.config_is_given))
    print(_origin(source), flush=True)
    episodes = _used(source.episodes(config))
    form = form_of(episodes, parsed.images)
    print("\n".join(_lines(episodes, form, config)), flush=True)
    with removed_after_failure(parsed.output):
        check_folder(parsed.output, "OUTPUT")
        with progress_bar("writing", unit="episode", total=len(episodes)) as bar:
            write_dataset(parsed.output, episodes, form, on_episode=bar.update)
    print(f"wrote {parsed.output}; open it by LeRobotDataset('local/{parsed.output.name}', root='{parsed.output}')")
    return 0


def _base(source: Source, preset: str, *, is_given: bool) -> TrainConfig:
    """Returns the settings that no flag gives: those of the run, unless the user named a preset."""
    if source.parameters is None or is_given:
        return PRESETS[preset]
    try:
        return load_config_file(source.parameters)
    except ValueError as error:
        raise SettingError(f"{error}; name the preset of the run by --config instead") from error


def _origin(source: Source) -> str:
    what = f"the stored transitions of {source.path}" if source.is_store else f"{source.path}"
    settings = f"; cameras and rates are those of {source.parameters} and the flags" if source.parameters else ""
    return f"reading {what}{settings}"


def _used(found: Iterator[Episode | LeftOut]) -> list[Episode]:
    """Returns the episodes that can be used, and prints a line for each other one."""
    episodes, left_out = [], []
    with progress_bar("reading", unit="episode") as bar:
        for each in found:
            if isinstance(each, LeftOut):
                left_out.append(each)
            else:
                episodes.append(each)
            bar.update()
    print("".join(f"{each}\n" for each in left_out), end="", flush=True)
    return episodes


def _lines(episodes: Sequence[Episode], form: DatasetForm, config: TrainConfig) -> list[str]:
    """Returns lines that say what is written, and what is not known."""
    num_steps, tasks = sum(len(episode) for episode in episodes), {episode.prompt for episode in episodes}
    cameras = ", ".join(f"{name} {width}x{height}" for name, (height, width, _) in form.cameras.items()) or "no camera"
    lines = [
        f"writing {count_of(len(episodes), 'episode')}, {count_of(num_steps, 'step')} at {form.rate} Hz, "
        f"{count_of(len(tasks), 'task')}; {cameras} "
        f"({form.image_format}); joints in rad, grippers 0 (closed) to 1 (open) by the convention "
        f"{config.robot.gripper_convention}"
    ]
    dropped = sorted({name for episode in episodes for name in episode.cameras} - set(form.cameras))
    if dropped:
        lines.append(f"{', '.join(dropped)} is left out, because some episodes do not have it")
    if form.has_unmeasured:
        measured = sum(
            len(episode) if episode.image_steps is None else len(episode.image_steps) for episode in episodes
        )
        assumed = {text for episode in episodes for text in episode.facts.assumed if text.startswith("between ")}
        lines.append(
            f"{measured} of {num_steps} rows have images of their own step ({MEASURED}); the others repeat the newest "
            f"images{''.join(f', and {text}' for text in sorted(assumed))}"
        )
    missing = [("next.reward", form.has_rewards), ("next.success", form.has_success)]
    lines += [f"there is no {name}, because some episodes do not say it" for name, is_there in missing if not is_there]
    if "" in tasks:
        lines.append("some episodes have no task; give one for all by --prompt")
    return lines
