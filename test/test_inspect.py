"""Tests the command inspect, its JSON and its picture, and that other commands run the same checks first."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.config.flags.program import SHOWS_PROGRESS
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.readers import read_all
from chunk_ppo_ros.imitation import clone_recorded
from chunk_ppo_ros.imitation.inspection import before_work
from chunk_ppo_ros.imitation.inspection.command import inspect
from chunk_ppo_ros.imitation.inspection.picture import draw_episodes, num_panels
from chunk_ppo_ros.imitation.inspection.tokens import count_tokens, token_findings
from support import small_policy
from support.recorded_motion import write_motion

FLAGS = ("--config", "debug", "--prompt", "stack", "--max_action_tokens", "60", "--max_token_len", "100")


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Writes three sound episodes with pictures of three cameras."""
    folder = tmp_path / "cup"
    for number in range(3):
        write_motion(folder / f"episode_{number}.hdf5", seed=number)
    return folder


def change(file: Path, name: str, values: Any) -> None:
    with h5py.File(file, "a") as opened:
        del opened[name]
        opened[name] = values


def scaled(file: Path, name: str, factor: float) -> None:
    with h5py.File(file, "r") as opened:
        values = opened[name][()]
    change(file, name, values * np.float32(factor))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = main(["inspect", *arguments, *FLAGS])
    return status, capsys.readouterr().out


def test_sound_recordings_are_fine_and_the_last_line_says_what_is_next(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, printed = run(capsys, str(recorded))
    assert status == 0
    last = printed.splitlines()[-1]
    assert last.endswith("0 ask, 0 refuse. Nothing is open: give pretrain or norm-stats the same paths and flags.")
    assert "fine    lag: states follow actions by 100 ms" in printed
    assert "  left waist" in printed and f"{recorded / 'episode_1.hdf5'}: 295 steps, 5.90 s, no mark" in printed


def test_it_shows_how_many_episodes_are_read(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHOWS_PROGRESS, "1")
    main(["inspect", str(recorded), *FLAGS])
    assert "reading recordings: 0episode" in capsys.readouterr().err


def test_a_damaged_file_hides_no_other(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (recorded / "episode_1.hdf5").write_bytes(b"damaged")
    status, printed = run(capsys, str(recorded), str(recorded / "nowhere"))
    assert status == 1
    assert "episodes: 2, of 295" in printed
    assert "refuse  unreadable: " in printed and "episode_1.hdf5" in printed and "which does not exist" in printed
    status, printed = run(capsys, str(recorded), "--leave_out_episodes", "episode_1.hdf5")
    assert status == 0 and "is left out: it is named by --leave_out_episodes" in printed


def test_the_json_object(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scaled(recorded / "episode_1.hdf5", "observations/qpos", 57.3)
    status, printed = run(capsys, str(recorded), "--json")
    content = json.loads(printed)
    assert status == 1
    assert set(content) == {"format", "counts", "findings", "episodes", "left_out", "next"}
    assert content["format"] == 1 and set(content["counts"]) == {"fine", "ask", "refuse"}
    names = {"group", "key", "verdict", "found", "advice", "details", "values"}
    assert all(set(finding) == names for finding in content["findings"])
    assert {"recordings", "time", "states and actions", "prompts", "cameras", "tokens"} == {
        finding["group"] for finding in content["findings"]
    }
    refused = {finding["key"] for finding in content["findings"] if finding["verdict"] == "refuse"}
    assert {"state_joint_unit", "state_gripper_unit"} <= refused
    assert [episode["num_steps"] for episode in content["episodes"]] == [295] * 3
    (ranges,) = [finding["values"] for finding in content["findings"] if finding["key"] == "ranges"]
    low, q01, q99, high = ranges["actions"]["left waist"]
    assert -0.31 < low < q01 < q99 < high < 0.31


def test_the_picture(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "pictures" / "cup.png"
    status, printed = run(capsys, str(recorded), "--picture", str(picture))
    assert status == 0 and f"wrote {picture}" in printed
    with Image.open(picture) as image:
        assert image.format == "PNG" and image.size == (1530, round(90 * 3 * (2.3 + 2 * 1.9 + 0.5)))
        pixels = np.asarray(image.convert("RGB"))
    # The gray of the first and of the last frame fills areas, and the colors of states and actions are in it.
    for gray in (20, 20 + 294 % 256):
        assert np.count_nonzero(np.all(pixels == gray, axis=-1)) > 20_000
    for color in ((0x1F, 0x5F, 0xA8), (0xC4, 0x50, 0x1B)):
        assert np.any(np.all(pixels == color, axis=-1))
    (episode, *_) = read_all([recorded], small_policy.configure(tmp_path))
    assert num_panels(episode) == 2 * 3 + 14


@pytest.mark.parametrize("dims", [(7, 7), (8, 7), (3, 3)])
def test_pictures_of_other_episodes(dims: tuple[int, int], tmp_path: Path) -> None:
    episode = Episode("$one$", np.zeros((1, dims[0])), np.zeros((1, dims[1])), 50.0, prompt="$x")
    draw_episodes(tmp_path / "one.png", [episode])
    assert num_panels(episode) == max(dims)
    assert (tmp_path / "one.png").stat().st_size > 1000


def test_tokens_of_all_chunks_are_told_at_once(recorded: Path, tmp_path: Path) -> None:
    config = small_policy.configure(tmp_path, run={"prompt": "stack"}, max_action_tokens=10, max_token_len=30)
    findings, _, episodes = inspect([recorded], config)
    (slots,) = [finding for finding in findings["tokens"] if finding.key == "tokens"]
    needed, total = (slots.values[name] for name in ("action_tokens", "token_len"))
    assert f"set --max_action_tokens {needed} --max_token_len {total}" in slots.advice
    assert isinstance(needed, int) and isinstance(total, int)
    enough = dataclasses.replace(
        config, model=dataclasses.replace(config.model, max_action_tokens=needed, max_token_len=total)
    )
    again, _, _ = inspect([recorded], enough)
    assert not [finding for finding in again["tokens"] if finding.is_open]
    before_work.check_tokens(episodes, enough, None, fitted_to=episodes)


def test_clipped_actions_are_refused_above_a_setting(recorded: Path, tmp_path: Path) -> None:
    config = small_policy.configure(tmp_path, run={"prompt": "stack"}, max_action_tokens=70, max_token_len=120)
    episodes = read_all([recorded], config)
    narrow = small_policy.make_tokenizer()
    stats = narrow.norm_stats.actions
    narrow = dataclasses.replace(
        narrow,
        norm_stats=dataclasses.replace(
            narrow.norm_stats, actions=dataclasses.replace(stats, q01=stats.q01 * 0.001, q99=stats.q99 * 0.001)
        ),
        config=config.model,
    )
    found = next(iter(token_findings(count_tokens(episodes, config, narrow), config)))
    assert (found.key, found.verdict.value) == ("clipped_actions", "refuse")
    assert "--max_clipped_share" in found.advice and "--insist clipped_actions" in found.advice
    share = found.values["by_dimension"]
    assert isinstance(share, dict) and share["left gripper"] > 0.5
    allowing = dataclasses.replace(config, recordings=dataclasses.replace(config.recordings, max_clipped_share=1.0))
    assert not next(iter(token_findings(count_tokens(episodes, allowing, narrow), allowing))).is_open


def test_chunks_and_prompts_that_cannot_be_written(recorded: Path, tmp_path: Path) -> None:
    config = small_policy.configure(tmp_path, run={"prompt": "\u7af9"}, max_action_tokens=70, max_token_len=120)
    episodes = read_all([recorded], config)
    tokenizer = dataclasses.replace(small_policy.make_tokenizer(), config=config.model)
    fast = dataclasses.replace(tokenizer.fast, min_token=100)
    counts = count_tokens(episodes, config, dataclasses.replace(tokenizer, fast=fast))
    found = {finding.key: finding for finding in token_findings(counts, config)}
    assert "chunks cannot be written as tokens" in found["unencodable"].found
    assert "cannot be used" in found["prompt_tokens"].found and "episode_0.hdf5" in found["prompt_tokens"].found


@pytest.mark.parametrize(
    "command",
    [
        ("norm-stats", "{folder}", "--output", "{out}/stats"),
        ("pretrain", "--exp_name", "one", "--checkpoint_root", "{out}", "--episodes", "{folder}"),
    ],
)
def test_commands_stop_before_they_read_images_or_write(
    command: tuple[str, ...],
    recorded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("images were read")

    monkeypatch.setattr(clone_recorded, "read_chunks", fail)
    scaled(recorded / "episode_2.hdf5", "action", 57.3)
    arguments = [part.format(folder=recorded, out=tmp_path / "out") for part in command]
    assert main([*arguments, *FLAGS]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "action_joint_unit: " in line and "episode_2.hdf5, step " in line and "in degrees" in line
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not written


def test_insisting_and_leaving_out_let_a_command_go_on(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scaled(recorded / "episode_2.hdf5", "action", 57.3)
    keys = ("action_joint_unit", "action_gripper_unit", "lag")
    arguments = ["norm-stats", str(recorded), *FLAGS, "--output"]
    assert main([*arguments, str(tmp_path / "one"), "--insist", *keys]) == 0
    assert "(accepted by --insist action_joint_unit)" in capsys.readouterr().out
    assert main([*arguments, str(tmp_path / "two"), "--leave_out_episodes", "episode_2.hdf5"]) == 0
    assert main([*arguments, str(tmp_path / "three"), "--insist", "everything"]) == 2
    assert "recordings.insist must name findings of" in capsys.readouterr().err


def test_a_command_prints_hints_and_goes_on(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in recorded.glob("*.hdf5"):
        change(file, "observations/images/cam_high", np.full((295, 6, 8, 3), 90, np.uint8))
    assert main(["train-classifier", str(recorded), "--output", str(tmp_path / "one.npz"), *FLAGS]) == 2
    printed = capsys.readouterr()
    assert "ask     frozen_camera: cam_high shows the very same picture" in printed.out
    assert "an episode must say whether it succeeded" in printed.err  # What comes after the checks.


def test_of_a_checkpoint_it_says_what_it_was_made_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = small_policy.save_openpi(tmp_path / "checkpoint")
    status, printed = run(capsys, str(folder))
    assert status == 0 and str(folder) in printed and "norm_stats" in printed
    status, printed = run(capsys, str(folder), "--json")
    assert status == 0 and json.loads(printed)["path"] == str(folder)
    with pytest.raises(SystemExit):
        main(["inspect", str(folder), str(folder)])
    assert "a checkpoint must be inspected by itself, got 2 paths" in capsys.readouterr().err
