"""Plays chunks of the policy on the robot, and follows the leader arms while a human drives."""
