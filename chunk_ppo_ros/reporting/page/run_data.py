"""Reads what the metrics file of a run says, for its page. What it holds does not grow with the run."""

from __future__ import annotations

import dataclasses
from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chunk_ppo_ros.config.env import REAL_ROBOT
from chunk_ppo_ros.core.files.writer_mark import is_marked
from chunk_ppo_ros.reporting.curves.episodes import PROMPT, Episodes
from chunk_ppo_ros.reporting.curves.updates import Updates
from chunk_ppo_ros.reporting.metrics_file import NewestRun, Record
from chunk_ppo_ros.reporting.page.starts import Starts
from chunk_ppo_ros.reporting.run_metrics import WALL

MAX_EVALUATIONS = 200
"""The largest number of evaluations that are held: the first one and the newest ones."""

_COUNTED = ("time", "num_chunks", "num_steps", "policy_version")
_NEEDED = {
    "run": ("run_id", "time", "config"),
    "update": _COUNTED,
    "episode": (*_COUNTED, "episode/episode", "episode/success", "episode/num_chunks"),
    "evaluation": (
        *(*_COUNTED, "evaluation/checkpoint", "evaluation/decoding", "evaluation/episodes"),
        *(f"evaluation/{name}_{end}" for name in ("success", "reward") for end in ("low", "mean", "high")),
    ),
}
"""What records have by their kinds, and what is never null. The page of a run is made of it."""

_NEEDED_SETTINGS = {
    "env": ("task", "simulator"),
    "ppo": ("total_timesteps", "clip_coef"),
    "run": ("exp_name", "checkpoint_root", "checkpoint_dir"),
}
"""The settings by section that every version has, and that the page of a run is made of."""

_KEYS = {"update": "policy_version", "episode": "episode/episode"}
"""What numbers the records of a kind. A record that was made again after a crash replaces the earlier one."""


@dataclasses.dataclass(frozen=True)
class RunData:
    """What is known of a run.

    Attributes:
        folder: folder of the run.
        starts: its first start, and those that went on with it.
        newest: time of its newest record, s since 1970.
        timed: its newest record that has the wall time of the run, or None where none has.
        updates: its updates, each version once.
        episodes: its episodes, each once.
        evaluations: the records of its first and its newest evaluations.
        num_evaluations: number of all its evaluations.
        is_running: whether a process still trains it, or None where that cannot be known.
    """

    folder: Path
    starts: Starts
    newest: float
    timed: Record | None
    updates: Updates
    episodes: Episodes
    evaluations: Sequence[Record]
    num_evaluations: int
    is_running: bool | None

    @classmethod
    def read(cls, folder: Path) -> RunData:
        """Returns the newest run in a folder. It reads the file twice, and holds a few records at a time.

        Raises:
            FileNotFoundError: when there are no metrics.
            ValueError: when the metrics cannot be read, are empty, do not begin with the record of a start, or a record
                lacks what each of its kind has.
        """
        folder = Path(folder)
        found = NewestRun.find(folder)
        if not found.end:
            raise ValueError(
                f"{found.path} must have the record of a start, got no whole line; the run ended before it wrote one, "
                "so start it again"
            )
        survey = _Survey.of(found)
        if survey.starts is None:
            raise _no_start(found.path)
        for start in (survey.starts.first, survey.starts.newest):
            _check_settings(start["config"], found.path)
        updates, episodes = Updates(survey.count("update")), Episodes(survey.count("episode"), survey.prompts)
        for record in survey.kept(found):
            (updates if record["kind"] == "update" else episodes).add(record)
        return cls(
            folder=folder,
            starts=survey.starts,
            newest=survey.newest,
            timed=survey.timed,
            updates=updates,
            episodes=episodes,
            evaluations=(*survey.first_evaluations, *survey.newest_evaluations),
            num_evaluations=survey.num_evaluations,
            is_running=is_marked(found.path, survey.starts.newest.get("writer")),
        )

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.resolve().name

    @property
    def begun(self) -> float:
        """The time of its first start, s since 1970."""
        return float(self.starts.first["time"])

    @property
    def start(self) -> Record:
        """The record of its newest start."""
        return self.starts.newest

    @property
    def run_id(self) -> str:
        """The identity of the run."""
        return str(self.start["run_id"])

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings of the newest start, by section. An older version may have written them."""
        settings: Mapping[str, Any] = self.start["config"]
        return settings

    @property
    def wall(self) -> float | None:
        """The duration of the run over all its starts, s; None where it is not recorded."""
        return None if self.timed is None else float(self.timed[WALL])

    @property
    def num_steps(self) -> int:
        """The number of control steps that the run has trained on."""
        return self.updates.counted("num_steps")

    @property
    def total_steps(self) -> int:
        """The number of control steps after which the run is complete."""
        return int(self.config["ppo"]["total_timesteps"])

    @property
    def is_complete(self) -> bool:
        """Whether the run has trained on as many control steps as it was asked to."""
        return self.num_steps >= self.total_steps

    @property
    def is_in_lockstep(self) -> bool:
        """The same as `EnvConfig.is_lockstep`, from settings that may be of an older version."""
        env = self.config["env"]
        return env["simulator"] != REAL_ROBOT and not env.get("realtime")

    @property
    def clip_range(self) -> tuple[float, float]:
        """The same as `PPOConfig.clip_range`, from settings that may lack `clip_coef_high`."""
        ppo = self.config["ppo"]
        return 1.0 - ppo["clip_coef"], 1.0 + (ppo.get("clip_coef_high") or ppo["clip_coef"])


class _Survey:
    """The first reading of a file: what stands in few records, and which of the many records count."""

    def __init__(self) -> None:
        self.newest = 0.0
        self.starts: Starts | None = None
        self.timed: Record | None = None
        self.first_evaluations: list[Record] = []
        self.newest_evaluations: deque[Record] = deque(maxlen=MAX_EVALUATIONS - 1)
        self.num_evaluations = 0
        self._prompts: dict[str, int] = {}  # numbers of the prompts, in the order in which they came
        self._prompt_of = array("i")  # the prompt of each record of an episode; -1 where it has none
        self._keys = {kind: array("q") for kind in _KEYS}
        self._kept: dict[str, np.ndarray] = {}
        self._version = 0

    @classmethod
    def of(cls, found: NewestRun) -> _Survey:
        survey = cls()
        for record in found.records():
            if survey.starts is None and record["kind"] != "run":
                raise _no_start(found.path)
            _check(record, found.path)
            survey._take(record)
        survey._kept = {kind: _last_of_each(np.array(keys, np.int64)) for kind, keys in survey._keys.items()}
        return survey

    def count(self, kind: str) -> int:
        """Returns how many records of a kind count."""
        return int(np.count_nonzero(self._kept[kind]))

    @property
    def prompts(self) -> dict[str, int]:
        """How many episodes that count had each prompt; empty where the run has one prompt."""
        kept = np.array(self._prompt_of, np.int64)[self._kept["episode"]]
        return {prompt: int(np.count_nonzero(kept == number)) for prompt, number in self._prompts.items()}

    def kept(self, found: NewestRun) -> Iterator[Record]:
        """Yields the updates and the episodes that count, in the order of writing."""
        places = dict.fromkeys(_KEYS, 0)
        for record in found.records():
            kind = record["kind"]
            if kind in _KEYS:
                if self._kept[kind][places[kind]]:
                    yield record
                places[kind] += 1

    def _take(self, record: Record) -> None:
        kind = record["kind"]
        self.newest = record.get("time", self.newest)
        self.timed = record if record.get(WALL) is not None else self.timed
        if kind in _KEYS:
            self._keys[kind].append(int(record[_KEYS[kind]]))
        match kind:
            case "run":
                self._take_start(record)
            case "update":
                self._version = int(record["policy_version"])
            case "episode":
                prompt = record.get(PROMPT)
                self._prompt_of.append(-1 if prompt is None else self._prompts.setdefault(prompt, len(self._prompts)))
            case "evaluation":
                self.num_evaluations += 1
                (self.newest_evaluations if self.first_evaluations else self.first_evaluations).append(record)

    def _take_start(self, record: Record) -> None:
        if self.starts is None:
            self.starts = Starts.begun_by(record)
        else:
            self.starts.go_on(record, version=self._version)


def _last_of_each(keys: np.ndarray) -> np.ndarray:
    """Returns bool [N], true for the last place at which each of the keys [N] stands."""
    kept = np.zeros(len(keys), bool)
    _, places = np.unique(keys[::-1], return_index=True)
    kept[len(keys) - 1 - places] = True
    return kept


def _no_start(path: Path) -> ValueError:
    return ValueError(f"{path} must begin with a record of kind 'run', got none; take the file as the run wrote it")


def _check(record: Record, path: Path) -> None:
    """Raises ValueError where a record lacks what each record of its kind has, whatever version wrote it."""
    kind = record["kind"]
    missing = [name for name in _NEEDED.get(kind, ()) if record.get(name) is None]
    if missing:
        raise ValueError(
            f"each record of kind '{kind}' in {path} must have {', '.join(missing)}, got one without; take the file as "
            "the run wrote it"
        )


def _check_settings(settings: Any, path: Path) -> None:
    """Raises ValueError where the settings of a start lack what those of all versions have."""
    sections = settings if isinstance(settings, Mapping) else {}
    missing = [
        f"{section}.{name}"
        for section, names in _NEEDED_SETTINGS.items()
        for name in names
        if not isinstance(sections.get(section), Mapping) or name not in sections[section]
    ]
    if missing:
        raise ValueError(
            f"the start of a run in {path} must have the settings of a version of this package, got none for "
            f"{', '.join(missing)}; take the file as the run wrote it"
        )
