"""Recorded episodes in, bags in and out, the durable store; no JAX and no ROS."""
