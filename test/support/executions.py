"""Makes the results of executed chunks."""

from __future__ import annotations

from typing import Any

import numpy as np

from chunk_ppo_ros.core.execution import Cause, ExecutionResult, Status


def execution(num_steps: int, *, status: Status = Status.EXECUTED, clamped: int = 0, **fields: Any) -> ExecutionResult:
    """Returns the result of a chunk of which the first `clamped` steps were limited to the speed limit."""
    causes = np.where(np.arange(num_steps) < clamped, Cause.VELOCITY, 0).astype(np.uint8)
    commanded = np.zeros((num_steps, 14), np.float32)
    return ExecutionResult(status=status, num_steps=num_steps, causes=causes, commanded=commanded, **fields)
