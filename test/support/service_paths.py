"""The names by which clients find the services of operators."""

from __future__ import annotations

from chunk_ppo_ros.nodes.wire.services import OPERATOR_SERVICES

SERVICE_PATHS = {service.name: service.path for service in OPERATOR_SERVICES}
"""The name with that of the node before it, by the name below the node."""
