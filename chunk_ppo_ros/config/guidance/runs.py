"""Typical values of the settings of recordings and runs."""

from __future__ import annotations

RUNS: dict[str, str] = {
    "recordings.arm_order": (
        "Empty. Set it where a command asks for it, or where the picture of `inspect` shows exchanged arms."
    ),
    "recordings.channel_order": "`rgb`. Take `bgr` where red and blue are exchanged in the picture of `inspect`.",
    "recordings.recorded_rate": (
        "0 for ALOHA's 50 Hz. Set it where your recorder wrote another rate and did not say so."
    ),
    "recordings.joint_unit": "`rad`. Take `deg` where `inspect` says that joints are far beyond their limits.",
    "recordings.state_gripper_unit": (
        "`normalized`. `interbotix_2` for Interbotix's ALOHA 2.0; others as `inspect` asks."
    ),
    "recordings.action_gripper_unit": "`normalized`, or what `inspect` asks for.",
    "recordings.leave_out_episodes": "Empty. Name the episodes that `inspect` finds damaged or wrong.",
    "recordings.insist": "Empty. Name a finding only after you have looked at it and know that the recording is right.",
    "recordings.max_clipped_share": "0.1. Compute norm_stats of the recordings before you raise it.",
    "run.keep_checkpoints": "3. Raise it where you want to go back farther by `rollback`.",
    "run.max_disk": "Some GiB less than what is free on the disk; `doctor` says whether it fits.",
    "run.exp_name": "A name of your own for each run. Nothing is overwritten.",
    "run.run_dir": "`runs`. Take a folder on a disk of this machine with room; a network disk will not do.",
    "run.checkpoint_root": "`checkpoints`. policy_node must be able to read it.",
    "run.checkpoint_dir": "Empty. Set it where the checkpoints must have another name than the run.",
    "run.pretrained_checkpoint_path": (
        "An imitation that solves 25 to 50 % of the episodes. Empty only for a smoke test in a simulator: fresh "
        "weights move at random."
    ),
    "run.asset_id": "Empty. Set it where the checkpoint has several folders below `assets`, such as `trossen`.",
    "run.on_load_failure": "`fail`, on a robot and wherever fresh weights are of no use.",
    "run.resume": "true, to go on with a run that was stopped.",
    "run.prompt": "Empty in a simulator. On a robot the words of your task, as in its demonstrations.",
    "run.tokenizer_dir": (
        "Empty for checkpoints of this package. A folder with PaliGemma's and FAST's tokenizers for those of openpi. "
        "Never set it without a checkpoint on a robot: the weights would be random."
    ),
    "run.wandb": "true, where you use wandb. `--no_wandb` turns it off.",
    "run.tensorboard": "false. true where you look at runs by TensorBoard.",
    "run.autostart": "true. false where you lead the nodes through their lifecycle by hand.",
    "run.max_number_jump": "5000. Raise it only where trainer_node sets transitions aside whose numbers are right.",
    "run.bag_part_size": "512 MiB. Smaller parts can be copied sooner while the run goes on.",
    "run.bag_total_size": (
        "20480 MiB, which is 20 GiB. A run with recorded cameras needs about 26 GB an hour; docs/bags.md has the sizes."
    ),
    "run.bag_cameras": "false to replay a run. true where the recording is to become training data.",
    "run.live_view": "false. true while you look at the run by Foxglove, rqt or rviz.",
    "run.seed": "0. Compare settings by at least two seeds.",
}
"""Sentences by the dotted name of the setting."""
