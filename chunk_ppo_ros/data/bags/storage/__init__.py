"""Reads the files of rosbag2 folders: their metadata, MCAP and SQLite, whole or cut off, and types of messages."""
