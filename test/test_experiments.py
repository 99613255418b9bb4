"""Tests curves from the start to the result, resumed and refused, with a scripted method and simulator.

Nothing compiles.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from chunk_ppo_ros.agent.rollout_worker import EpisodeSummary
from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.types import ChunkOutcome
from chunk_ppo_ros.evaluation.evaluate import evaluation_start
from chunk_ppo_ros.evaluation.statistics import paired_test
from experiments import definitions, figures, many, methods, one, report, results, run, start_point, state, tables
from experiments.definitions import Experiment, StartRule, Variant

ROLLOUT = 32  # chunks of an update in the debug preset
EPISODES = 20


@dataclasses.dataclass(frozen=True)
class Chunk:
    asked_actions: np.ndarray
    valid: bool = True


@dataclasses.dataclass
class Skill:
    """A policy that solves the starts whose number, modulo 100, is below its percentage."""

    percent: int
    greedy: bool = True

    def observe(self, observation: int) -> int:
        return observation

    def act(self, observation: int, *, sequence_number: int) -> Chunk:
        return Chunk(np.array(observation % 100 < self.percent))


class Env:
    """Has episodes of one chunk. The observation is the seed."""

    def __init__(self, *_: Any) -> None:
        pass

    def reset(self, *, seed: int) -> int:
        RESETS.append(seed)
        return seed

    def step_chunk(self, actions: np.ndarray) -> tuple[int, float, bool, ChunkOutcome]:
        success = bool(actions)
        return (
            0,
            float(success),
            True,
            ChunkOutcome(
                float(success), (), ExecutionResult.whole(16), terminated=True, truncated=False, success=success
            ),
        )

    def close(self) -> None:
        pass


class Learner:
    """Gains 20 points an update, and can raise an error that stands for the end of the process."""

    run_id = "scripted"

    def __init__(self, config: TrainConfig, greedy: bool) -> None:
        self._file = Path(config.run.checkpoint_root) / "version"
        version = int(self._file.read_text()) if self._file.is_file() else 0
        self.counters = Counters(self.run_id, policy_version=version, num_chunks=version * ROLLOUT)
        self._greedy = greedy
        self._start = int(Path(config.run.pretrained_checkpoint_path).name)

    @property
    def policy(self) -> Skill:
        return Skill(self._start + 20 * self.counters.policy_version, self._greedy)

    def update(self) -> tuple[dict[str, float], list[EpisodeSummary]]:
        version = self.counters.policy_version + 1
        UPDATES.append(version)
        if version in KILLED_AT:
            KILLED_AT.remove(version)
            raise KeyboardInterrupt
        self.counters = Counters(self.run_id, policy_version=version, num_chunks=version * ROLLOUT)
        return Metrics({"kl/approx": 0.01 * version, "time/rollout": 1.0}), [EpisodeSummary(version, 1.0, True, 2, 32)]

    def save(self) -> None:
        self._file.write_text(str(self.counters.policy_version))


REAL = [(name, variant) for name in definitions.EXPERIMENTS for variant in definitions.VARIANTS]
RESETS: list[int] = []
UPDATES: list[int] = []
KILLED_AT: set[int] = set()
IMITATED: list[tuple[int, ...]] = []


def begin(config: TrainConfig, env: Env, *, greedy: bool, options: Mapping[str, float]) -> Learner:
    return Learner(config, greedy)


def imitate(config: TrainConfig, folder: Path, *, steps: Collection[int]) -> dict[int, Path]:
    IMITATED.append(tuple(steps))
    for number in steps:
        (folder / str(number)).mkdir(parents=True)
    return {number: folder / str(number) for number in steps}


class Candidates:
    """After n steps of imitation n percent of all starts are solved."""

    def __init__(self, config: TrainConfig, *, greedy: bool) -> None:
        self._greedy = greedy

    def load(self, checkpoint: Path) -> Skill:
        return Skill(int(checkpoint.name), self._greedy)


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    for recorded in (RESETS, UPDATES, KILLED_AT, IMITATED):
        recorded.clear()
    rule = StartRule(steps=(10, 36, 70), episodes=200, policy="scripted")
    experiment = Experiment(
        config=PRESETS["debug"],
        start=rule,
        chunks=4 * ROLLOUT + 1,
        episodes=EPISODES,
        validate_every=2 * ROLLOUT,
        validation_episodes=200,
        save_every=2 * ROLLOUT,
        method="scripted",
    )
    monkeypatch.setattr(definitions, "EXPERIMENTS", {"toy": experiment})
    variants = {"default": Variant("as it is"), "fast": Variant("faster", {"ppo": {"learning_rate": 0.5}})}
    monkeypatch.setattr(definitions, "VARIANTS", variants)
    monkeypatch.setitem(methods.METHODS, "scripted", __name__)
    monkeypatch.setitem(start_point.IMITATIONS, "scripted", __name__)
    for module in (one, start_point):
        monkeypatch.setattr(module, "make_simulator", Env)
        monkeypatch.setattr(module, "SimulatorEnv", Env)


def run_toy(root: Path, **keywords: Any) -> results.Result:
    return one.run_curve(definitions.curve("toy", seed=3), root, **keywords)


def test_a_curve_is_measured_on_the_same_unseen_starts_before_and_after(tmp_path: Path) -> None:
    result = run_toy(tmp_path)
    unseen = [evaluation_start(3, episode) for episode in range(EPISODES)]
    # There are the validations of three candidates, the one before, the points at 0, 64 and 128 chunks, and the one
    # after.
    assert RESETS[600:620] == unseen and RESETS[-20:] == unseen
    assert not set(unseen) & set(RESETS[620:-20])
    # From the start of 36 %, 4 updates of 20 points lead to success in all episodes.
    assert result.before["outcomes"] == "".join("1" if start % 100 < 36 else "0" for start in unseen)
    assert result.after["success"] == 1.0
    assert (result.start["gradient_steps"], result.start["checkpoint"]) == (36, "36")
    assert (result.chunks, result.updates, result.episodes, UPDATES) == (4 * ROLLOUT, 4, 4, [1, 2, 3, 4])
    assert [point["chunks"] for point in result.curve] == [0, 64, 128]
    assert 0.6 < result.curve[1]["success"] < 0.9 and result.curve[2]["success"] == 1.0
    assert result.chunks_to_goal == 128 and result.minutes_to_goal == result.curve[2]["minutes"]
    assert result.metrics == {"kl/approx max": 0.04, "time/rollout sum": 4.0}
    assert result.settings["env.simulator"] == "kinematic" and "ppo.gamma" not in result.settings
    assert result.resumed == 0 and result.provenance["code"] == state.code_version()


def test_a_result_tells_what_was_undone_and_at_what_rate_it_ended() -> None:
    updates = [
        {"update/accepted": 1.0, "update/rolled_back": 2.0, "update/rate_scale": 0.25, "kl/after": 0.5},
        {"update/accepted": 0.0, "update/rolled_back": 4.0, "update/rate_scale": 0.125, "kl/after": None},
    ]
    assert results.watched_metrics(updates) == {
        "kl/after max": 0.5,
        "update/accepted mean": 0.5,
        "update/rolled_back sum": 6.0,
        "update/rate_scale min": 0.125,
    }


def test_the_last_line_names_the_figures(tmp_path: Path) -> None:
    result = run_toy(tmp_path)
    measured = {**result.before, "success": 0.4}, {**result.after, "success": 0.9751}
    result = dataclasses.replace(result, before=measured[0], after=measured[1], minutes=1.26, eval_minutes=0.04)
    figures = "seed=3 chunks=128 success_before=0.400 success_after=0.975 episodes=20 minutes=1.3 eval_minutes=0.0"
    assert result.line == f"toy {figures}"
    assert dataclasses.replace(result, variant="fast").line == f"toy/fast {figures}"


@pytest.mark.parametrize("killed_at", [1, 2, 3, 4])
def test_a_killed_curve_goes_on_from_what_was_saved(tmp_path: Path, killed_at: int) -> None:
    KILLED_AT.add(killed_at)
    with pytest.raises(KeyboardInterrupt):
        run_toy(tmp_path)
    result = run_toy(tmp_path)
    saved = 2 * ((killed_at - 1) // 2)  # checkpoints are of versions 2 and 4
    assert [*range(1, killed_at + 1), *range(saved + 1, 5)] == UPDATES
    assert RESETS.count(evaluation_start(3, 0)) == 2  # once before, once after
    assert (result.chunks, result.updates, result.resumed, len(IMITATED)) == (128, 4, 1, 1)
    assert [point["chunks"] for point in result.curve] == [0, 64, 128]


def test_what_is_finished_is_not_done_again(tmp_path: Path) -> None:
    first = run_toy(tmp_path)
    done = len(UPDATES), len(RESETS)
    assert run_toy(tmp_path) == first
    assert (len(UPDATES), len(RESETS)) == done
    assert run_toy(tmp_path, fresh=True).after == first.after | {"minutes": pytest.approx(0.0, abs=1.0)}
    assert len(UPDATES) == 2 * done[0] and len(IMITATED) == 1


def test_changed_settings_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_toy(tmp_path)
    changed = dataclasses.replace(definitions.EXPERIMENTS["toy"], chunks=64)
    monkeypatch.setitem(definitions.EXPERIMENTS, "toy", changed)
    with pytest.raises(one.Changed, match=r"chunks: 129, now 64; begin anew by --fresh"):
        run_toy(tmp_path)


def test_changed_code_is_refused_unless_it_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    KILLED_AT.add(3)
    with pytest.raises(KeyboardInterrupt):
        run_toy(tmp_path)
    old = state.code_version()
    monkeypatch.setattr(state, "code_version", lambda: "new")
    monkeypatch.setattr(state, "provenance", lambda: {"code": "new", "commit": "c", "date": "today"})
    with pytest.raises(one.Changed, match=rf"the code that began it \({old}\), got new"):
        run_toy(tmp_path)
    result = run_toy(tmp_path, any_code=True)
    assert (result.provenance["code"], [one["code"] for one in result.provenance["begun_by"]]) == ("new", [old])


def test_a_curve_in_use_is_left_alone(tmp_path: Path) -> None:
    curve = definitions.curve("toy", seed=3)
    with state.locked(curve.folder(tmp_path), wait=False), pytest.raises(state.Busy, match="in use by another process"):
        run_toy(tmp_path)


@pytest.mark.parametrize(
    ("successes", "chosen"),
    [
        ({1: 0.4, 2: 0.32, 3: 0.9}, 2),  # 0.4 is the middle; 2 is as near within the margin, and longer
        ({1: 0.4, 2: 0.5, 3: 0.6}, 2),  # 0.5 is just as near within the margin, 0.6 is not
        ({1: 0.25, 2: 0.58, 3: 0.9}, 2),
        ({1: 0.3, 2: 0.21, 3: 0.9}, 2),
        ({1: 0.3, 2: 0.19, 3: 0.9}, 1),  # 2 is out of the bounds
    ],
)
def test_the_start_is_near_the_middle_of_the_bounds(successes: dict[int, float], chosen: int) -> None:
    rule = StartRule(steps=(1, 2, 3), lowest=0.2, highest=0.6, margin=0.1)
    assert start_point.choose(rule, successes) == chosen


def test_a_start_lies_within_the_bounds() -> None:
    rule = StartRule(steps=(1, 2), lowest=0.2, highest=0.6)
    with pytest.raises(start_point.NoStart, match=r"within 20%..60%, got 1 steps 10.0%, 2 steps 70.0%"):
        start_point.choose(rule, {1: 0.1, 2: 0.7})


def test_other_demonstrations_make_another_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = definitions.EXPERIMENTS["toy"]
    start_point.ensure("toy", experiment, tmp_path)
    start_point.ensure("toy", dataclasses.replace(experiment, chunks=1), tmp_path)
    assert len(IMITATED) == 1
    pretrain = dataclasses.replace(experiment.config.pretrain, min_pace=0.5)
    other = dataclasses.replace(experiment, config=dataclasses.replace(experiment.config, pretrain=pretrain))
    start_point.ensure("toy", other, tmp_path)
    assert len(IMITATED) == 2


def test_a_variant_changes_what_it_names() -> None:
    curve = definitions.curve("toy", variant="fast", seed=1)
    assert (curve.config.ppo.learning_rate, curve.config.run.seed, curve.label) == (0.5, 1, "toy/fast")
    with pytest.raises(definitions.UnknownName, match="did you mean fast"):
        definitions.curve("toy", variant="fats", seed=1)
    with pytest.raises(definitions.UnknownName, match="got 'xyz'; python -m experiments run --help lists them"):
        definitions.curve("xyz", seed=1)


@pytest.mark.parametrize(("name", "variant"), REAL)
def test_every_curve_has_settings_that_fit(name: str, variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the scripted definitions
    curve = definitions.curve(name, variant=variant, seed=1)
    assert curve.experiment.method in methods.METHODS and curve.experiment.start.policy in start_point.IMITATIONS
    assert curve.experiment.episodes >= 200
    assert curve.experiment.chunks <= (20_480 if name == "cube" else 3000)
    assert variant == "default" or curve.settings() != definitions.curve(name, seed=1).settings()


def test_what_is_imitated_otherwise_is_trained_so_and_has_its_own_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    plain, free = (definitions.curve("reach", variant=variant, seed=1) for variant in ("default", "free_decoding"))
    assert plain.config.model.constrain_decoding and plain.experiment.config.model.constrain_decoding
    assert not free.config.model.constrain_decoding and not free.experiment.config.model.constrain_decoding
    keys = {start_point.fingerprint(one.experiment, start_point.start_config(one.experiment)) for one in (plain, free)}
    assert len(keys) == 2


@pytest.mark.parametrize("name", ["reach", "reach_kinematic"])
def test_what_a_variant_derives_from_the_default_fits_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    plain, stress, adaptive, half = (
        definitions.curve(name, variant=variant, seed=1).config
        for variant in ("default", "stress", "adaptive_length", "half_length")
    )
    assert stress.ppo.learning_rate == pytest.approx(10 * plain.ppo.learning_rate)
    assert half.chunk_length.executed_steps == plain.model.action_horizon / 2
    for shorter in (adaptive, half):
        assert shorter.ppo.gamma_step**plain.model.action_horizon == pytest.approx(plain.ppo.gamma, rel=1e-3)


def test_curves_are_parsed() -> None:
    assert [(one.label, one.seed) for one in many.parse("toy/fast:1,12")] == [("toy/fast", 1), ("toy/fast", 12)]
    assert [(one.label, one.seed) for one in many.parse("toy")] == [("toy", 0)]
    with pytest.raises(UserError, match="got '1,-2'"):
        many.parse("toy:1,-2")


@pytest.mark.parametrize(
    ("command", "arguments", "text"),
    [
        (run, ["toy", "--sed", "1"], "unknown flag --sed; did you mean --seed?"),
        (run, ["toy", "--seed", "-1"], "--seed must be at least 0, got -1"),
        (many, ["toy", "--at_once", "0"], "--at_once must be at least 1, got 0"),
        (report, ["--folde", "runs"], "unknown flag --folde; did you mean --folder?"),
    ],
)
def test_a_wrong_flag_is_one_line_before_the_usage(
    command: Any, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_status:
        command.main(arguments)
    assert exit_status.value.code == 2
    line, usage = capsys.readouterr().err.splitlines()
    assert line == f"python -m {command.__name__.replace('.', ' ')}: {text}" and usage.startswith("usage: ")


class Here:
    """Stands for a pool, and has no other process."""

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @staticmethod
    def imap_unordered(function: Any, items: Any, chunksize: int) -> Any:
        return map(function, items)


def test_a_start_that_fails_is_tried_once_and_ends_no_other_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(many, "worker_pool", lambda workers: Here())
    toy = dataclasses.replace(definitions.EXPERIMENTS["toy"], episodes=4)
    monkeypatch.setitem(definitions.EXPERIMENTS, "toy", toy)
    run_toy(tmp_path)
    never = dataclasses.replace(toy, start=dataclasses.replace(toy.start, steps=(1, 99)))
    monkeypatch.setitem(definitions.EXPERIMENTS, "never", never)
    curves = [*many.parse("never:1,2"), *many.parse("toy:3,4")]
    failed = many.run_many(curves, tmp_path, at_once=1)
    assert [reason.partition(":")[0] for reason in failed] == ["never seed=1", "never seed=2"]
    assert all("NoStart: success of a start must be within" in reason for reason in failed)
    assert IMITATED == [(10, 36, 70), (1, 99)]  # one for each start, nothing for what is finished
    lines = [line for line in capsys.readouterr().out.splitlines() if "chunks=128" in line]
    assert [line.partition(" chunks")[0] for line in lines] == ["toy seed=3", "toy seed=4"]
    assert many.run_many(many.parse("never"), tmp_path, at_once=2)[0].startswith("never seed=0")


def test_the_command_ends_with_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["toy", "--seed", "3", "--folder", str(tmp_path)]) == 0
    stored = json.loads((tmp_path / "toy" / "default" / "seed3" / "result.json").read_text())
    assert capsys.readouterr().out.splitlines()[-1] == results.Result(**stored).line


def finished(tmp_path: Path, *, variant: str, seed: int, outcomes: str, to_goal: int | None) -> None:
    """Writes a result file with these outcomes after training."""
    folder = tmp_path / "toy" / variant / f"seed{seed}"
    result = one.run_curve(definitions.curve("toy", variant=variant, seed=seed), tmp_path)
    after = {**result.after, "outcomes": outcomes, "success": outcomes.count("1") / len(outcomes)}
    changed = dataclasses.replace(result, after=after, chunks_to_goal=to_goal)
    state.write_json(folder / "result.json", dataclasses.asdict(changed))


def test_the_report_says_where_something_beats_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (report, tables):
        monkeypatch.setattr(module, "EXPERIMENTS", definitions.EXPERIMENTS)
        monkeypatch.setattr(module, "VARIANTS", definitions.VARIANTS)
    finished(tmp_path, variant="default", seed=1, outcomes="1" * 10 + "0" * 10, to_goal=None)
    finished(tmp_path, variant="default", seed=2, outcomes="1" * 20, to_goal=128)
    finished(tmp_path, variant="fast", seed=1, outcomes="1" * 20, to_goal=64)
    finished(tmp_path, variant="fast", seed=definitions.TUNING_SEED, outcomes="0" * 20, to_goal=None)
    published = tmp_path / "results"
    assert report.main(["--folder", str(tmp_path), "--results", str(published)]) == 0
    text = (published / "README.md").read_text()
    words = " ".join(text.split())
    assert "| **default** | as it is | 2 |" in text and "75.0% (50.0%) | 128 (1 of 2 seeds)" in text
    # Ten of twenty starts differ, all in favor of the variant, so p = 2 * 2^-10.
    assert "- fast: **better than the default**, +50.0 points on 20 starts (seen in 1 of 1 seeds, " in words
    assert "p = 0.002). It reaches 90% after 64 chunks, and the default never reaches 90%." in words
    evidence, tuning = text.split("### Grids")
    assert "| fast | faster | 1 |" in evidence and "| 0.0% (0.0%) | never |" in tuning
    assert text.count("\n| default | ") == 2 and text.count("\n| fast | 1 | ") == 1
    assert (published / "toy.png").stat().st_size > 1000
    assert report.publish(tmp_path, published) == 0
    assert not [line for line in text.splitlines() if len(line) > 120 and line[0] not in "|#!"]


def test_no_line_of_the_page_begins_as_an_item_of_a_list_by_chance() -> None:
    text = "- fast: it " + " ".join(["(seed 1) and - or 2. so"] * 20)
    lines = tables.wrapped(text).split("\n")
    assert len(lines) > 3 and " ".join(line.strip() for line in lines) == text
    assert not [line for line in lines[1:] if re.match(r"  (\d+[.)]|[-+*]) ", line)]
    assert tables.wrapped("") == ""


def test_every_curve_of_a_picture_is_drawn_otherwise(tmp_path: Path) -> None:
    plain = run_toy(tmp_path)
    names = ("default", *(f"variant {number}" for number in range(18)))
    drawn: list[Figure] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save", lambda figure, path, dpi: drawn.append(figure))
        figures.draw(tmp_path / "toy.png", "toy", {name: [plain] for name in names})
    right = drawn[0].axes[1]
    looks = [(line.get_color(), line.get_linestyle()) for line in right.lines if line.get_label() in names]
    assert len(looks) == len(names) == len(set(looks))
    assert {color for color, _ in looks[1:7]} == set(figures.COLORS), "the default takes no color of the others"


def test_another_start_or_decoding_is_told_of_those_that_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "EXPERIMENTS", definitions.EXPERIMENTS)
    plain = run_toy(tmp_path)
    other = dataclasses.replace(
        plain,
        variant="other",
        start={**plain.start, "gradient_steps": 70, "success": 0.7},
        after={**plain.after, "decoding": "sample"},
    )
    first, second = tables.settings_paragraphs({"default": [plain, plain], "fast": [plain], "other": [other]})
    assert "after 36 gradient steps" in first and "decode greedily" in first
    assert second.startswith("This differs for other: ")
    assert "after 70 gradient steps. It solves 70.0% of" in second and "decode by sampling" in second


def test_what_makes_a_task_easier_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = definitions.EXPERIMENTS["toy"]
    env = dataclasses.replace(toy.config.env, task_settings=("cube_spread=0.4",), max_episode_chunks=20)
    narrow = dataclasses.replace(toy, config=dataclasses.replace(toy.config, env=env))
    results = {"default": [run_toy(tmp_path)]}
    monkeypatch.setattr(tables, "EXPERIMENTS", {"toy": toy})
    assert (
        f"Task reach on the kinematic simulator, up to {toy.config.env.max_episode_chunks} chunks. "
        in tables.settings_paragraphs(results)[0]
    )
    monkeypatch.setattr(tables, "EXPERIMENTS", {"toy": narrow})
    narrowed = tables.settings_paragraphs(results)[0]
    assert "Task reach (cube_spread=0.4) on the kinematic simulator, up to 20 chunks. " in narrowed


def test_what_was_undone_is_told_where_it_was_recorded(tmp_path: Path) -> None:
    plain = run_toy(tmp_path)
    metrics = {
        "kl/after max": 0.125,
        "kl/approx max": 0.25,
        "update/rolled_back sum": 5.0,
        "update/accepted mean": 0.75,
    }
    results = [dataclasses.replace(plain, metrics=metrics), dataclasses.replace(plain, metrics={})]
    head, _, first, second = tables.seeds_table({"default": results}).splitlines()
    assert head.split(" | ")[-5:-1] == ["largest k2", "largest k3", "undone", "accepted"]
    assert first.split(" | ")[-5:-1] == ["0.125", "0.250", "5", "75%"]
    assert second.split(" | ")[-5:-1] == ["", "", "", ""]


def test_who_made_a_result_is_told_with_right_numbers(tmp_path: Path) -> None:
    plain = run_toy(tmp_path)
    made = {**plain.provenance, "commit": "c", "changed_files": [], "date": "today", "cores": 1, "begun_by": []}
    later = {**made, "changed_files": ["a", "b"], "cores": 2, "begun_by": [{"commit": "b"}]}
    results = [
        dataclasses.replace(plain, provenance=made, resumed=1),
        dataclasses.replace(plain, provenance=later, resumed=2),
    ]
    lines = tables.seeds_table({"default": results}).splitlines()
    assert lines[2].endswith("| c, resumed 1 time, today, 1 core |")
    assert lines[3].endswith("| c with 2 changed files, begun at b, resumed 2 times, today, 2 cores |")


def test_published_p_values_follow_from_the_published_outcomes() -> None:
    published = [*report.RESULTS.glob("*/*/seed*.json")]
    assert published
    for path in published:
        values = json.loads(path.read_text())
        before, after = ([float(one) for one in values[stage]["outcomes"]] for stage in ("before", "after"))
        assert values["p_two_sided"] == pytest.approx(paired_test(before, after).p_two_sided, rel=1e-9), path


def test_the_seeds_in_which_a_difference_is_seen_are_counted(tmp_path: Path) -> None:
    plain = run_toy(tmp_path)

    def after(seed: int, outcomes: str) -> results.Result:
        measured = {**plain.after, "outcomes": outcomes, "success": outcomes.count("1") / len(outcomes)}
        return dataclasses.replace(plain, seed=seed, after=measured)

    default = [after(seed, "1100000000") for seed in range(3)]
    variant = [after(0, "1111111111"), after(1, "1000000000"), after(2, "1100000000")]
    # Eight starts are better and one is worse, which is a difference of 7 of 30.
    assert "better than the default**, +23.3 points on 30 starts (seen in 1 of 3 seeds, p = 0.039)." in (
        tables.verdict("fast", variant, default)
    )
    assert "worse, -23.3 points on 30 starts (seen in 1 of 3 seeds, p = 0.039)." in (
        tables.verdict("default", default, variant)
    )
    assert "no clear difference, +0.0 points on 30 starts (seen in no seed, p = 1)." in (
        tables.verdict("fast", default, default)
    )


def test_a_difference_that_may_be_chance_is_called_so(tmp_path: Path) -> None:
    finished(tmp_path, variant="default", seed=1, outcomes="1" * 18 + "00", to_goal=96)
    finished(tmp_path, variant="fast", seed=1, outcomes="1" * 17 + "000", to_goal=96)
    default, fast = (
        results.Result(**json.loads((tmp_path / "toy" / variant / "seed1" / "result.json").read_text()))
        for variant in ("default", "fast")
    )
    assert tables.verdict("fast", [fast], [default]) == (
        "- fast: no clear difference, -5.0 points on 20 starts (seen in 1 of 1 seeds, p = 1). "
        "It reaches 90% after 96 chunks, and the default reaches 90% after 96 chunks."
    )
    other_seed = dataclasses.replace(fast, seed=2)
    assert "not compared" in tables.verdict("fast", [other_seed], [default])
