"""Lists all nodes, and defines the graph of a run as data.

This is the only list of nodes. `setup.py` and `tools/setup_environment.py` read it before the package is installed, by
the path of this file. Therefore this module may import only the standard library.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chunk_ppo_ros.config import TrainConfig

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_JAX = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "2", **_ONE_THREAD}  # XLA has its own threads

BEHIND_CONTROL = ("nice", "-n", "10")
"""Starts a process that computes for long, so that the control of the robot goes before it where cores are few."""

LOGS = "logs"
"""The name of the folder, within the folder of a run, that holds the log of each node."""

DEPLOYMENT_FILE = "deployment.json"
"""The file by which the folder of a run without a trainer is known."""


def _always(config: TrainConfig, record: bool) -> bool:
    return True


@dataclasses.dataclass(frozen=True)
class NodeEntry:
    """Describes one entry of the list of nodes.

    Attributes:
        name: the name of the node, of its executable, and of its module.
        folder: the folder below `nodes/` that holds the module.
        uses_jax: whether the process of the node loads JAX.
        reads_simulated_time: whether the node reads its time from /clock in lockstep.
        respawn_parameters: parameters that are set when the node is started anew after it ended.
        is_needed: whether a run cannot go on without the node.
        is_part: whether a run with this configuration, recorded or not, has the node.
    """

    name: str
    folder: str
    uses_jax: bool = False
    reads_simulated_time: bool = True
    respawn_parameters: Mapping[str, bool] = dataclasses.field(default_factory=dict)
    is_needed: bool = True
    is_part: Callable[[TrainConfig, bool], bool] = _always

    @property
    def module(self) -> str:
        """The name of the module that `python -m` runs. Its `main` is the executable."""
        return f"chunk_ppo_ros.nodes.{self.folder}.{self.name}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that are set for the process of the node, where the user has not set them."""
        return _JAX if self.uses_jax else _ONE_THREAD


# Nodes are started in this order. The recorder comes first, then the nodes that take long. sim_node makes the time that
# the others read. The recorder stamps by the wall clock, which never stands still, and deployment_node writes when an
# episode began and ended. trainer_node and classifier_node ask for no time, so that no step of the simulated time wakes
# them (40 % of trainer_node's work while it collects).
NODES = (
    NodeEntry(
        "recorder_node",
        "recorder",
        reads_simulated_time=False,
        is_needed=False,
        is_part=lambda config, record: record,
    ),
    NodeEntry(
        "trainer_node",
        "trainer",
        uses_jax=True,
        reads_simulated_time=False,
        respawn_parameters={"run.resume": True},
        is_part=lambda config, record: not config.deploy.is_deployment,
    ),
    NodeEntry(
        "deployment_node",
        "deployment",
        reads_simulated_time=False,
        is_part=lambda config, record: config.deploy.is_deployment,
    ),
    NodeEntry("policy_node", "policy", uses_jax=True),
    NodeEntry(
        "classifier_node",
        "classifier",
        uses_jax=True,
        reads_simulated_time=False,
        is_part=lambda config, record: config.reward.has_classifier,
    ),
    NodeEntry("reward_node", "reward"),
    NodeEntry("robot_node", "robot"),
    NodeEntry(
        "sim_node",
        "sim",
        reads_simulated_time=False,
        is_part=lambda config, record: config.env.has_scene,
    ),
    NodeEntry(
        "view_node",
        "view",
        reads_simulated_time=False,
        is_needed=False,
        is_part=lambda config, record: config.run.live_view,
    ),
)


@dataclasses.dataclass(frozen=True)
class NodeDescription:
    """Describes one node of the graph of a run.

    Attributes:
        name: the name of the node and of its executable.
        module: the module that `python -m` runs.
        use_sim_time: whether the node reads its time from /clock.
        environment: variables that are set for its process, where the user has not set them.
        respawn_parameters: parameters that are set when the node is started anew.
        prefix: the program that starts the process, such as `nice`, and its arguments; empty where none does.
        is_needed: whether a run cannot go on without the node; `node_ends.py` says what becomes of the others.
    """

    name: str
    module: str
    use_sim_time: bool
    environment: Mapping[str, str]
    respawn_parameters: Mapping[str, bool] = dataclasses.field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    is_needed: bool = True


@dataclasses.dataclass(frozen=True)
class Graph:
    """Describes all nodes of a run.

    Attributes:
        nodes: the nodes in the order of their start.
        parameter_file: the file with the parameters of all nodes.
        run_dir: the folder of the run; logs go to its folder `LOGS`.
        ends_with: the name of the node whose exit with code 0 is the end of the run.
        checkpoint_folder: the folder of the run's checkpoints, or None where that is not known.
        namespace: the namespace of all nodes; empty is none.
        log_level: the least severity that the nodes log; empty is that of ROS.
    """

    nodes: tuple[NodeDescription, ...]
    parameter_file: pathlib.Path
    run_dir: pathlib.Path
    ends_with: str = "trainer_node"
    checkpoint_folder: pathlib.Path | None = None
    namespace: str = ""
    log_level: str = ""

    @property
    def log_arguments(self) -> tuple[str, ...]:
        """The ROS arguments that set the log level."""
        return ("--log-level", self.log_level) if self.log_level else ()

    @property
    def ros_arguments(self) -> tuple[str, ...]:
        """The ROS arguments that all nodes get, beside their parameters."""
        return (*(("-r", f"__ns:={self.namespace}") if self.namespace else ()), *self.log_arguments)

    def parameters(self, node: NodeDescription, *, anew: bool = False) -> dict[str, bool]:
        """Returns the parameters of a node that stand beside the parameter file.

        Args:
            node: a node of this graph.
            anew: whether it is started anew. Where it ended before the first checkpoint, there is nothing to go on
                from, so that it begins again.
        """
        begins_again = not anew or not self._has_checkpoint()
        return {"use_sim_time": node.use_sim_time, **({} if begins_again else node.respawn_parameters)}

    def _has_checkpoint(self) -> bool:
        """Returns whether the run has a finished checkpoint, as far as that is known."""
        return self.checkpoint_folder is None or any(self.checkpoint_folder.glob("step_*/metadata.json"))
