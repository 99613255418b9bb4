"""Tests how the command `doctor` collects facts of a workstation: GPUs, disks, a checkpoint, and cv_bridge."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.config import PPOConfig, RunConfig
from chunk_ppo_ros.config.presets import TINY_MODEL
from chunk_ppo_ros.nodes.doctor.facts import Gpu, GpuFacts
from chunk_ppo_ros.nodes.doctor.probes import workstation
from chunk_ppo_ros.nodes.doctor.probes.checkpoint import weight_facts
from chunk_ppo_ros.nodes.doctor.probes.cv_bridge_test import cv_bridge_facts
from chunk_ppo_ros.nodes.doctor.probes.model import model_facts
from chunk_ppo_ros.nodes.doctor.probes.workstation import disk_facts, gpu_facts, parse_gpus, ros_facts
from support.small_policy import MODEL, save_openpi, save_own

CV_BRIDGE = """
import numpy as np

CHANNELS = {"rgb8": [0, 1, 2], "bgr8": [2, 1, 0], "rgba8": [0, 1, 2], "bgra8": [2, 1, 0], "mono8": [0, 0, 0]}
SIZES = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}


class CvBridge:
    def imgmsg_to_cv2(self, message, desired_encoding):
        row = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
        size = SIZES[message.encoding]
        image = row[:, : message.width * size].reshape(message.height, message.width, size)
        return image[..., CHANNELS[message.encoding]]
"""


def test_gpus_are_read_from_the_lines_of_nvidia_smi() -> None:
    text = "NVIDIA H100 80GB HBM3, 81559, 81008\nNVIDIA A6000, 49140, 100\n"
    assert parse_gpus(text).gpus == (Gpu("NVIDIA H100 80GB HBM3", 81559, 81008), Gpu("NVIDIA A6000", 49140, 100))
    assert parse_gpus("") == GpuFacts(problem="nvidia-smi lists none")
    assert "Unable to" in parse_gpus("Unable to determine the device handle").problem
    assert "[N/A]" in parse_gpus("Orin, [N/A], [N/A]").problem


def test_a_machine_without_gpu_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(workstation.subprocess, "run", run)
    assert gpu_facts().problem == "nvidia-smi is not installed"


def test_an_nvidia_smi_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: tuple[str, ...], *, timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(workstation.subprocess, "run", run)
    assert "timed out after 5.0 seconds" in gpu_facts().problem


def test_the_free_space_of_a_folder_that_is_not_there_is_that_of_its_parent(tmp_path: Path) -> None:
    facts = disk_facts(RunConfig(run_dir=str(tmp_path / "runs" / "mine"), checkpoint_root=str(tmp_path)))
    assert facts.recordings.free > 0
    assert facts.recordings.folder.endswith("mine")
    assert list(tmp_path.iterdir()) == []


def test_the_environment_of_ros_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setenv("ROS_STATIC_PEERS", "10.0.0.2")
    facts = ros_facts()
    assert (facts.distribution, facts.static_peers, facts.discovery_range) == ("jazzy", "10.0.0.2", "LOCALHOST")
    assert facts.middleware.startswith("rmw_")


@pytest.mark.parametrize(
    ("ppo", "trained"), [(PPOConfig(), 1.0), (PPOConfig(freeze_image_tower=True, freeze_text_tower=True), 0.0)]
)
def test_parameters_are_counted(ppo: PPOConfig, trained: float) -> None:
    facts = model_facts(TINY_MODEL, ppo)
    # 1024 rows of 96 in the table; a block of the decoder has 2 x 96 x 96 of queries and output, 2 x 96 x 24 of keys
    # and values, and 3 x 96 x 256 of its MLP; the image tower has the patches 3 x 32 x 32 x 64 and a block. Norms,
    # biases and positions come on top.
    least = 1024 * 96 + 3 * (2 * 96 * 96 + 2 * 96 * 24 + 3 * 96 * 256) + 3 * 32 * 32 * 64 + 4 * 64**2 + 2 * 64 * 256
    assert least < facts.num_parameters < 1.1 * least
    assert facts.num_trained == trained * facts.num_parameters


def test_a_run_without_checkpoint_has_no_facts_of_one() -> None:
    assert weight_facts(RunConfig()) is None


def test_a_checkpoint_that_is_not_there_is_a_problem_in_words(tmp_path: Path) -> None:
    facts = weight_facts(RunConfig(pretrained_checkpoint_path=str(tmp_path / "none")))
    assert facts is not None
    assert "must be a folder" in facts.problem


def test_a_checkpoint_says_its_settings_and_its_statistics(tmp_path: Path) -> None:
    facts = weight_facts(RunConfig(pretrained_checkpoint_path=str(save_own(tmp_path / "run"))))
    assert facts is not None
    assert (facts.problem, facts.state_dim, facts.action_dim) == ("", 14, 14)
    assert len(facts.ranges) == 14 and min(facts.ranges) > 0.0
    assert facts.settings["model.action_horizon"] == MODEL.action_horizon
    assert facts.size > 100_000  # bytes
    without_settings = weight_facts(RunConfig(pretrained_checkpoint_path=str(save_openpi(tmp_path / "openpi"))))
    assert without_settings is not None
    assert (without_settings.problem, dict(without_settings.settings)) == ("", {})


def test_cv_bridge_is_not_imported_where_it_is_not_installed() -> None:
    assert not cv_bridge_facts().is_installed


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (CV_BRIDGE, ""),
        (CV_BRIDGE.replace('"bgr8": [2, 1, 0]', '"bgr8": [0, 1, 2]'), "it gives other arrays for bgr8 with rows of 21"),
        ("import os; os.abort()", "its self-test ended with -6"),
        ("raise ImportError('numpy.core.multiarray failed to import')", "numpy.core.multiarray failed to import"),
    ],
    ids=["equal", "other arrays", "aborts", "no import"],
)
def test_cv_bridge_is_tested_in_another_process(
    source: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    (tmp_path / "cv_bridge.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{repository}")
    facts = cv_bridge_facts()
    assert facts.is_installed
    assert problem in facts.problem and bool(problem) == bool(facts.problem)


def test_the_workstation_alone_is_looked_at_without_ros(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    places = ["--checkpoint_root", str(tmp_path), "--run_dir", str(tmp_path)]
    sizes = ["--bag_total_size", "2", "--max_disk", "1"]  # a small disk has room for these
    flags = ["--config", "debug", "--simulator", "none", "--workstation", "--json", *places, *sizes]
    assert main(["doctor", *flags]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [finding for finding in findings if finding["level"] not in ("OK", "SKIPPED")] == []


def test_the_wrong_parameter_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["doctor", "--params_file", "nowhere.yaml"])
    assert "chunk_ppo doctor: configuration file must exist, got nowhere.yaml" in capsys.readouterr().err
