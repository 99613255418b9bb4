"""Compares cv_bridge with this package's own decoding of images, in a process of its own.

cv_bridge is compiled against one version of numpy, and with another one its import may end the process. Therefore it is
never imported where a robot is driven, and its test runs in a process that may end.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np

from chunk_ppo_ros.nodes.doctor.facts import CvBridgeFacts

TIMEOUT = 20.0
"""The longest test, s."""
PACKAGE = "cv_bridge"
_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}


def cv_bridge_facts() -> CvBridgeFacts:
    """Runs the test, where cv_bridge is installed."""
    if importlib.util.find_spec(PACKAGE) is None:
        return CvBridgeFacts(is_installed=False)
    try:
        result = subprocess.run([sys.executable, "-m", __name__], capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return CvBridgeFacts(is_installed=True, problem=f"its self-test did not end within {TIMEOUT:g} s")
    if result.returncode == 0:
        return CvBridgeFacts(is_installed=True)
    lines = (result.stdout + result.stderr).strip().splitlines() or ["it says nothing"]
    return CvBridgeFacts(is_installed=True, problem=f"its self-test ended with {result.returncode}: {lines[-1]}")


def differences() -> list[str]:
    """Returns the encodings in which cv_bridge gives another array than `decode_image`, with padded rows too."""
    from cv_bridge import CvBridge
    from sensor_msgs.msg import Image

    from chunk_ppo_ros.nodes.wire.sensors.image_messages import image_from_message
    from chunk_ppo_ros.robot.images import ENCODINGS

    bridge, found, random = CvBridge(), [], np.random.default_rng(0)
    height, width = 5, 7
    for encoding in ENCODINGS:
        for padding in (0, 3):
            step = width * _CHANNELS[encoding] + padding
            data = random.integers(0, 256, height * step, dtype=np.uint8).tobytes()
            message = Image(height=height, width=width, encoding=encoding, step=step, data=data)
            theirs = np.asarray(bridge.imgmsg_to_cv2(message, desired_encoding="rgb8"))
            if not np.array_equal(theirs, image_from_message(message)):
                found.append(f"{encoding} with rows of {step} bytes")
    return found


if __name__ == "__main__":
    different = differences()
    sys.exit(f"it gives other arrays for {', '.join(different)}" if different else 0)
