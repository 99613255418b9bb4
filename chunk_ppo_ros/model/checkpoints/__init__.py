"""Modules that read and write the folders of checkpoints, and decide which checkpoint fits which configuration."""
