"""Writes demonstrations of a scripted expert in a simulator to ALOHA's HDF5 files, one row for each control step.

As a program it makes a folder of eight short files of `reach`, as the original ALOHA records them, to try docs/data.md:
`.venv/bin/python test/support/demonstration_files.py aloha_data/reach`
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import pathlib

import h5py
import numpy as np

from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.config.env import KINEMATIC
from chunk_ppo_ros.sim.experts.demonstrations import make_expert
from chunk_ppo_ros.sim.interface import Simulator
from chunk_ppo_ros.sim.simulator import make_simulator
from chunk_ppo_ros.sim.tasks.registry import make_task


def main() -> None:
    """Writes the files into the folder that the command line names."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    demo = PRESETS["demo"]
    config = dataclasses.replace(demo, env=dataclasses.replace(demo.env, simulator=KINEMATIC))
    folder = write_demonstrations(parser.parse_args().folder, config, number=8, num_chunks=6, with_prompt=False)
    print(f"wrote 8 episodes to {folder}")


def write_demonstrations(
    folder: pathlib.Path, config: TrainConfig, *, number: int, num_chunks: int, with_prompt: bool = True
) -> pathlib.Path:
    """Writes `number` files of the task of a configuration, each of `num_chunks` chunks, and returns their folder.

    Files have the attribute `prompt` unless `with_prompt` is false.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(make_simulator(config)) as simulator:
        for episode in range(number):
            states, actions, images = record(simulator, config, seed=episode, num_chunks=num_chunks)
            with h5py.File(folder / f"episode_{episode}.hdf5", "w") as file:
                file.attrs["sim"] = True
                if with_prompt:
                    file.attrs["prompt"] = simulator.prompt
                file["observations/qpos"], file["action"] = states, actions
                for index, camera in enumerate(simulator.camera_names):
                    file[f"observations/images/{camera}"] = images[:, index]
    return folder


def record(
    simulator: Simulator, config: TrainConfig, *, seed: int, num_chunks: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns states [T, 14], actions [T, 14] and images uint8 [T, C, h, w, 3] of what the expert intends and does."""
    task, random = make_task(config.env), np.random.default_rng(seed)
    expert = make_expert(task, config)
    simulator.reset(seed=seed)
    states, actions, images = [], [], []
    for _ in range(num_chunks):
        for target in expert.plan(simulator.state(), task.observe(simulator.scene()), random=random).intended:
            states.append(simulator.state())
            actions.append(target)
            images.append(simulator.render())
            simulator.step(target)
    return np.stack(states), np.stack(actions), np.stack(images)


if __name__ == "__main__":
    main()
