"""Describes the graph of nodes as data, once for `launch/training.launch.py` and for the supervisor.

The command `chunk_ppo graph` starts the graph with the supervisor.
"""

from __future__ import annotations

import argparse
import os
import re

from chunk_ppo_ros.config import PRESETS, TrainConfig, flags
from chunk_ppo_ros.config.parameter_file import load_config_file, write_parameter_file
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.core.folders import check_folder, removed_after_failure
from chunk_ppo_ros.runtime.claims.run_folder import claim_run
from chunk_ppo_ros.runtime.description import BEHIND_CONTROL, DEPLOYMENT_FILE, NODES, Graph, NodeDescription
from chunk_ppo_ros.runtime.graph_flags import DISCOVERY, add_graph_flags, given_to_graph
from chunk_ppo_ros.runtime.ros_domain import DDS_DOMAINS, claim_domain
from chunk_ppo_ros.runtime.supervisor import Supervisor


def describe(config: TrainConfig, *, record: bool = False, namespace: str = "", log_level: str = "") -> Graph:
    """Returns the graph of a configuration, and writes the parameter file into the folder of the run.

    Args:
        config: the configuration of the run.
        record: whether the rollout topics are recorded.
        namespace: the namespace of all nodes, with or without the slash at its start; empty is none.
        log_level: the least severity that the nodes log; empty is that of ROS.

    Raises:
        SettingError: for a folder of outputs that cannot be written, for a training in the folder of a run without a
            trainer, and for a namespace that ROS does not take.

    Returns:
        The graph. The nodes that take long to start come first, the recorder before them.
    """
    full_namespace = _full_namespace(namespace)
    run_dir = config.run.folder.resolve()
    if not config.deploy.is_deployment and (run_dir / DEPLOYMENT_FILE).exists():
        raise SettingError(
            f"run.exp_name must be a name that no run without a trainer has, got {config.run.exp_name}, which the "
            f"one in {run_dir} has; take another name"
        )
    check_folder(run_dir, "run.run_dir")
    if not config.deploy.is_deployment:
        check_folder(config.run.checkpoint_root, "run.checkpoint_root")
    parameter_file = run_dir / "params.yaml"
    write_parameter_file(config, parameter_file)
    lockstep = config.env.is_lockstep
    nodes = tuple(
        NodeDescription(
            name=entry.name,
            module=entry.module,
            use_sim_time=lockstep and entry.reads_simulated_time,
            environment=entry.environment,
            respawn_parameters=entry.respawn_parameters,
            prefix=BEHIND_CONTROL if entry.uses_jax and not lockstep else (),
            is_needed=entry.is_needed,
        )
        for entry in NODES
        if entry.is_part(config, record)
    )
    ends_with = "deployment_node" if config.deploy.is_deployment else "trainer_node"
    return Graph(
        nodes=nodes,
        parameter_file=parameter_file,
        run_dir=run_dir,
        ends_with=ends_with,
        checkpoint_folder=config.run.checkpoint_folder.resolve(),
        namespace=full_namespace,
        log_level=log_level,
    )


def _full_namespace(namespace: str) -> str:
    """Returns a namespace with the slash at its start, or an empty string where there is none.

    Raises:
        SettingError: for a namespace that ROS does not take.
    """
    stripped = namespace.strip("/")
    if not stripped:
        return ""
    if not re.fullmatch(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*", stripped, re.ASCII):
        raise SettingError(
            f"namespace must be made of letters, digits, underscores and slashes, and no part may begin with a digit, "
            f"got {namespace}; write one such as /cell_1"
        )
    return f"/{stripped}"


def network_environment(*, discovery: str, static_peers: str = "", domain_id: int | None = None) -> dict[str, str]:
    """Returns the variables that decide which machines see the graph.

    Args:
        discovery: one of the keys of DISCOVERY.
        static_peers: addresses separated by ';', for the discovery 'static_peers' only.
        domain_id: the ROS domain. None leaves the user's own domain.

    Raises:
        ValueError: for an unknown discovery, for missing peers, or for peers that would not be used.
    """
    if discovery not in DISCOVERY:
        raise ValueError(f"discovery must be one of {', '.join(DISCOVERY)}, got '{discovery}'; name one of them")
    if (discovery == "static_peers") != bool(static_peers):
        raise ValueError(
            f"static_peers must be given exactly with discovery static_peers, got '{static_peers}' with {discovery}; "
            "set discovery to static_peers and name the peers, or leave both out"
        )
    environment = {"ROS_AUTOMATIC_DISCOVERY_RANGE": DISCOVERY[discovery], "ROS_STATIC_PEERS": static_peers}
    if domain_id is not None:
        environment["ROS_DOMAIN_ID"] = str(domain_id)
    return environment


def wanted_domain(domain_id: int | str | None, config: TrainConfig) -> int | None:
    """Returns the ROS domain to claim, or None for any free domain. `domain_id` may be as the user wrote it.

    Without `domain_id`, it is that of the variable ROS_DOMAIN_ID, where the tools of the user look for the graph. If it
    is not set, a real robot is in domain 0, where its driver is, and a simulation takes a free domain.

    Raises:
        SettingError: for a domain that DDS does not have.
    """
    given = domain_id
    if domain_id is None:
        given = os.environ.get("ROS_DOMAIN_ID") or ("0" if config.env.is_real else None)
    if given is None:
        return None
    if str(given) not in map(str, DDS_DOMAINS):
        raise SettingError(
            f"the ROS domain must be within {DDS_DOMAINS.start}..{DDS_DOMAINS.stop - 1}, got {given}; correct "
            "domain_id or ROS_DOMAIN_ID"
        )
    return int(given)


def given_config(parser: argparse.ArgumentParser, given: argparse.Namespace) -> TrainConfig:
    """Returns the configuration of a preset, a parameter file and flags.

    Args:
        parser: the parser, which exits with the reason and the usage where they do not fit.
        given: the arguments that it parsed, with the flags of `add_graph_flags`.
    """
    try:
        base = PRESETS[given.config]
        base = load_config_file(given.params_file, base=base) if given.params_file else base
        return flags.config_from_flags(given, base=base)
    except ValueError as error:
        parser.error(str(error))


def run_graph(parser: argparse.ArgumentParser, given: argparse.Namespace, config: TrainConfig) -> int:
    """Starts the graph of a configuration with the supervisor, and returns the exit status when it has ended.

    Args:
        parser: the parser, which exits with the usage if the flags do not fit.
        given: the arguments that it parsed, with the flags of `add_graph_flags`.
        config: the configuration of the run.
    """
    try:
        network = network_environment(discovery=given.discovery, static_peers=given.static_peers)
        environment = {**network, **given_to_graph(given).environment}
        wanted = wanted_domain(given.domain_id, config)
    except ValueError as error:
        parser.error(str(error))
    domain = claim_domain(wanted, run=config.run.exp_name, makes_time=config.env.is_lockstep)
    with claim_run(config.run.folder), domain as domain_id:
        with removed_after_failure(config.run.folder):
            graph = describe(config, record=given.record, namespace=given.namespace, log_level=given.log_level)
        print(f"ROS_DOMAIN_ID={domain_id}: set it to look at the topics", flush=True)
        supervisor = Supervisor(graph, domain_id=domain_id, on_node_exit=given.on_node_exit, environment=environment)
        return supervisor.run()


def graph_parser() -> flags.FlagParser:
    """Returns the parser of the command `graph`."""
    parser = flags.FlagParser(
        prog=flags.command_line("graph"),
        description=(
            "Starts all nodes of a run, without the launch package of ROS: it trains over ROS 2 topics, in simulation "
            "or on a robot. Ctrl-C stops all nodes, and --resume goes on."
        ),
        examples=(
            (flags.command_line("graph"), "a smoke test in the simulator, from random weights"),
            (
                flags.command_line("graph --params_file config/robot.yaml --exp_name mine"),
                "trains on the robot that the file describes",
            ),
            (flags.command_line("graph --config demo --exp_name mine --record"), "also records the topics as a bag"),
        ),
        first=(
            *("--config", "--params_file", "--exp_name", "--pretrained_checkpoint_path"),
            *("--record", "--resume", "--domain_id"),
        ),
    )
    flags.add_config_flags(parser, preset="debug", from_checkpoint=True)
    add_graph_flags(parser)
    return parser
