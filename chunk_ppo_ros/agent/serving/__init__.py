"""Serves a checkpoint over openpi's websocket protocol, so that openpi's client gets chunks from it. No ROS."""
