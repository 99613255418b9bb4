"""Serves a checkpoint over openpi's websocket protocol, so that openpi's client gets chunks from it.

The settings are those of the run that wrote the checkpoint, unless a flag says otherwise. States and actions on the
wire are ALOHA's, as openpi's client has them. The server knows no authentication: by default only this machine reaches
it.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import signal
import time
from collections.abc import Sequence

from chunk_ppo_ros import __version__
from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.run_start.checkpoint_settings import config_for_measuring
from chunk_ppo_ros.agent.run_start.setting_lines import print_history
from chunk_ppo_ros.agent.serving.default_prompt import default_prompt
from chunk_ppo_ros.agent.serving.requests import RequestForm
from chunk_ppo_ros.agent.serving.served_policy import ServedPolicy
from chunk_ppo_ros.agent.serving.server import PolicyServer, check_can_listen
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.commands.checkpoints import serve_parser
from chunk_ppo_ros.config.deploy import GREEDY
from chunk_ppo_ros.core.prompts.quotation import quoted
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.robot import aloha

CLIENT_HORIZON = 25
"""The number of steps that openpi's ALOHA client executes of a chunk unless --action_horizon says otherwise."""


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo serve CHECKPOINT` until Ctrl-C or SIGTERM, and returns what a shell tells of such an end."""
    parser = serve_parser()
    parsed = parser.parse_args(arguments)
    if not 0 <= parsed.port <= 65535:
        parser.error(f"--port must be within 0..65535, got {parsed.port}")
    asyncio.run(check_can_listen(parsed.host, parsed.port))
    checkpoint = Checkpoint.open(parsed.checkpoint)
    config = config_for_measuring(parser, parsed, checkpoint, needs_task=False)
    print_history(checkpoint)
    greedy = config.deploy.decoding == GREEDY
    actor = Actor(config, checkpoint, policy_version=checkpoint.policy_version, greedy=greedy)
    _compile(actor)
    form = RequestForm(config.model.cameras, config.model.image_size, _prompt(parsed, checkpoint, config))
    policy = ServedPolicy(actor, form, _say)
    server = PolicyServer(policy.answer, metadata=_metadata(checkpoint, config, form), report=_say)
    _describe(checkpoint, config, form)
    signal_number = asyncio.run(_run(server, parsed.host, parsed.port))
    _say(f"served {server.latencies}")
    if signal_number == signal.SIGINT:
        raise KeyboardInterrupt
    return 128 + signal_number


async def _run(server: PolicyServer, host: str, port: int) -> int:
    """Serves until Ctrl-C or SIGTERM, and returns the number of the signal."""
    stop, received = asyncio.Event(), [signal.SIGTERM]

    def on_signal(number: signal.Signals) -> None:
        received[0] = number
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
    await server.run(host, port, stop=stop, on_listening=lambda taken: _tell_address(host, taken))
    return int(received[0])


def _compile(actor: Actor) -> None:
    _say("compiling, so that the first chunk is not late")
    begin = time.monotonic()
    actor.warm_up()
    _say(f"compiled in {time.monotonic() - begin:.1f} s")


def _prompt(parsed: argparse.Namespace, checkpoint: Checkpoint, config: TrainConfig) -> str:
    return default_prompt(config, checkpoint, is_given=bool(parsed.prompt or parsed.prompts or parsed.config_is_given))


def _metadata(checkpoint: Checkpoint, config: TrainConfig, form: RequestForm) -> dict[str, object]:
    """Returns what each client gets first. openpi's client for ALOHA reads `reset_pose`, the six joints of an arm."""
    return {
        "reset_pose": [float(angle) for angle in aloha.START_POSE[: len(aloha.ARM_JOINTS)]],
        "action_horizon": config.model.action_horizon,
        "action_dim": config.model.action_dim,
        "cameras": [aloha.ROBOT_CAMERAS[key] for key in config.model.cameras],
        "default_prompt": form.default_prompt,
        "decoding": config.deploy.decoding,
        "temperature": config.model.temperature,
        "checkpoint": checkpoint.root.name,
        "policy_version": checkpoint.policy_version,
        "server": f"chunk_ppo_ros {__version__}",
    }


def _describe(checkpoint: Checkpoint, config: TrainConfig, form: RequestForm) -> None:
    prompt = f"prompt {quoted(form.default_prompt)} unless a request has its own" if form.default_prompt else ""
    horizon = config.model.action_horizon
    _say(
        f"{checkpoint.root}, version {checkpoint.policy_version}, {config.deploy.decoding} (--decoding), "
        f"{prompt or 'each request must have its prompt (or give --prompt)'}"
    )
    if horizon < CLIENT_HORIZON:
        _say(
            f"a chunk has {horizon} actions, so give openpi's client --action_horizon {horizon} or less (its default, "
            f"{CLIENT_HORIZON}, ends with an IndexError)"
        )


def _tell_address(host: str, port: int) -> None:
    if not _is_loopback(host):
        _say(
            f"{host} lets other machines in: whoever reaches this port gets chunks, because there is no authentication"
        )
    _say(f"listening on ws://{host}:{port}; Ctrl-C ends")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _say(line: str) -> None:
    print(line, flush=True)
