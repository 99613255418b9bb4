"""The process that runs wandb for `wandb_sink.py`: JSON lines on its input, a header first. Nothing else imports wandb.

Run as `python -m chunk_ppo_ros.reporting.wandb_process RUN_DIR FINISH_TIMEOUT`. The mode comes from WANDB_MODE. In
offline mode nothing is sent anywhere: error reports and machine statistics (which ask a cloud's metadata address) are
off.
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


def main(run_dir: Path, finish_timeout: float) -> None:
    """Logs every line of the standard input until it ends."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(), finish_timeout), daemon=True).start()
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    import wandb  # after the environment is set, which it reads when it is imported

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
        run.log(_loggable(json.loads(line)))
    run.finish()


def _end_with_parent(parent: int, finish_timeout: float) -> None:
    """Ends this process where the one that started it is gone without doing so, `finish_timeout` seconds after it."""
    while os.getppid() == parent:
        time.sleep(0.5)
    time.sleep(finish_timeout)
    os.kill(os.getpid(), signal.SIGKILL)


def _wandb_id(run_id: str) -> str:
    """Returns the run's id without what wandb does not take in one."""
    return "".join("-" if character in "/\\#?%:" else character for character in run_id)


def _loggable(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
