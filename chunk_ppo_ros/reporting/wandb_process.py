"""The process that runs wandb for `wandb_sink.py`. No other module imports wandb.

It is run as `python -m chunk_ppo_ros.reporting.wandb_process RUN_DIR FINISH_TIMEOUT` and reads JSON lines from its
input, first a header and then records. The mode comes from WANDB_MODE. In offline mode nothing is sent anywhere. Error
reports and machine statistics are always off, because they use the network.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from chunk_ppo_ros.reporting.wandb_sink import HISTOGRAMS


def main(run_dir: Path, finish_timeout: float) -> None:
    """Logs every line of the standard input to wandb until the input ends."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(), finish_timeout), daemon=True).start()
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    import wandb  # It reads the environment when it is imported, so the environment is set before.

    header = json.loads(sys.stdin.readline())
    settings = wandb.Settings(
        console="off",
        silent=True,
        disable_git=True,
        disable_code=True,
        save_code=False,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_disable_meta=True,
    )
    run = wandb.init(
        project="chunk_ppo_ros",
        id=_wandb_id(header["run_id"]),
        resume="allow",
        name=header["name"],
        config=header["config"],
        dir=str(run_dir),
        settings=settings,
    )
    run.define_metric("*", step_metric="num_chunks")
    for line in sys.stdin:
        record = json.loads(line)
        drawn = record.pop(HISTOGRAMS, {})
        made = {name: wandb.Histogram(np_histogram=(each["counts"], each["edges"])) for name, each in drawn.items()}
        run.log(_loggable(record) | made)
    run.finish()


def _end_with_parent(parent: int, finish_timeout: float) -> None:
    """Ends this process `finish_timeout` seconds after the process that started it has ended."""
    while os.getppid() == parent:
        time.sleep(0.5)
    time.sleep(finish_timeout)
    os.kill(os.getpid(), signal.SIGKILL)


def _wandb_id(run_id: str) -> str:
    """Returns the run's id with "-" in the place of characters that wandb does not accept."""
    return "".join("-" if character in "/\\#?%:" else character for character in run_id)


def _loggable(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
