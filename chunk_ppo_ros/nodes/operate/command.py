"""Shows an operator in one terminal what a run does and waits for, and takes keys and pedals.

It needs the nodes of a run in the same ROS domain, and no command of ROS. It moves nothing by itself. When it is left,
the graph goes on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.nodes.common.ros_log_folder import ensure_log_folder
from chunk_ppo_ros.nodes.operate.flags import operate_parser
from chunk_ppo_ros.nodes.operate.headless import run_headless
from chunk_ppo_ros.nodes.operate.session import open_session
from chunk_ppo_ros.runtime.robot_flags import robot_config
from chunk_ppo_ros.runtime.ros_domain import find_domain, keep_to_this_machine


def main(arguments: Sequence[str] | None = None) -> int:
    """Shows the screen until the operator leaves it, and returns 0."""
    parser = operate_parser()
    given = parser.parse_args(arguments)
    config = robot_config(parser, given).operate
    if given.headless and not config.buttons:
        parser.error("--headless needs pedals: give --joy_buttons, for example --joy_buttons 0=success 1=failure")
    os.environ["ROS_DOMAIN_ID"] = str(find_domain(given.domain_id))
    keep_to_this_machine()
    ensure_log_folder()
    if given.headless:
        with open_session(config, namespace=given.namespace) as session:
            run_headless(session, lambda line: print(line, flush=True))
        return 0
    if not sys.stdout.isatty():
        raise UserError("operate must run in a terminal, got a file or a pipe; --headless serves pedals without one")
    from chunk_ppo_ros.nodes.operate.screen import OperatorScreen  # It takes a third of a second.

    with open_session(config, namespace=given.namespace) as session:
        OperatorScreen(session).run(mouse=False)
    return 0
