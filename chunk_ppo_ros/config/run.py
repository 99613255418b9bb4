"""The settings of a run's name, of its folders, and of what is kept."""

from __future__ import annotations

import dataclasses
import pathlib

from chunk_ppo_ros.config.schema import Checked, setting


@dataclasses.dataclass(frozen=True)
class RunConfig(Checked):
    """Settings of the run's name, of its folders, and of what is kept."""

    exp_name: str = setting("debug", "name of the run; its outputs go to run_dir/exp_name")
    run_dir: str = setting("runs", "folder of metrics, plots and summaries")
    checkpoint_root: str = setting("checkpoints", "folder of checkpoint folders")
    checkpoint_dir: str = setting("", "checkpoint folder below checkpoint_root; empty is exp_name")
    pretrained_checkpoint_path: str = setting("", "openpi or own checkpoint to start from; empty starts from scratch")
    asset_id: str = setting("", "folder of norm_stats.json in an openpi checkpoint's assets; empty takes the only one")
    on_load_failure: str = setting(
        "fallback",
        "what happens when the checkpoint at pretrained_checkpoint_path cannot be loaded: fallback starts from fresh "
        "weights, and the exit code of the training is 3; a path without a checkpoint is an error in any case",
        choices=("fallback", "fail"),
    )
    resume: bool = setting(False, "go on from the newest checkpoint of this run; fails where there is none")
    keep_checkpoints: int = setting(3, "newest checkpoints kept; the one in use is never removed", minimum=1)
    prompt: str = setting("", "the task in words; empty takes the task's own")
    tokenizer_dir: str = setting("", "folder of FAST and prompt tokenizers; empty takes the checkpoint's")
    wandb: bool = setting(True, "log to wandb; offline unless a login exists")
    tensorboard: bool = setting(
        False,
        "also write the metrics for TensorBoard, into the folder tensorboard of the run (tensorboard --logdir runs)",
    )
    autostart: bool = setting(
        True,
        "policy_node, trainer_node and robot_node configure and activate themselves when their process starts; what "
        "an operator configures later, the operator activates",
        graph_only=True,
    )
    max_number_jump: int = setting(
        5_000,
        "largest step by which the sequence number or the episode of a transition may be ahead of those that "
        "trainer_node knows; a transition farther ahead is set aside",
        minimum=1,
        maximum=1_000_000_000,
        graph_only=True,
    )
    max_disk: float = setting(
        50.0,
        "size of the stored transitions that trainer_node keeps, GiB; it removes the oldest ones that were trained on, "
        "and never those that wait for an update or that the newest update took; those that a rollback to a kept "
        "checkpoint needs go last",
        minimum=0.001,
        maximum=1_000_000.0,
        graph_only=True,
    )
    bag_part_size: int = setting(
        512, "size at which a recording begins a new part, MiB", minimum=1, maximum=1048576, graph_only=True
    )
    bag_total_size: int = setting(
        20480, "size above which the oldest parts of a recording are removed, MiB", minimum=2, graph_only=True
    )
    bag_cameras: bool = setting(
        False,
        "a recording also has the images of the model's cameras, as JPEG; without it, it has those that the model got",
        graph_only=True,
    )
    live_view: bool = setting(
        False,
        "start view_node, which draws the first camera with the facts of the episode, and the paths of chunks, for "
        "Foxglove, rqt and rviz, while somebody looks",
        graph_only=True,
    )
    seed: int = setting(0, "seed of everything random", minimum=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, root in (("exp_name", "run_dir"), ("checkpoint_dir", "checkpoint_root")):
            value = getattr(self, name)
            path = pathlib.PurePath(value)
            if name == "checkpoint_dir" and not value:
                continue  # It is exp_name then.
            if not path.parts or path.is_absolute() or ".." in path.parts:
                raise ValueError(
                    f"run.{name} must name a folder below run.{root}, got '{value}'; write a name such as mine, "
                    f"without '..', and set run.{root} to another place instead"
                )

    @property
    def folder(self) -> pathlib.Path:
        """The folder of the run's metrics, plots, recordings and counts."""
        return pathlib.Path(self.run_dir) / self.exp_name

    @property
    def checkpoint_folder(self) -> pathlib.Path:
        """The folder of the run's checkpoints."""
        return pathlib.Path(self.checkpoint_root) / (self.checkpoint_dir or self.exp_name)
