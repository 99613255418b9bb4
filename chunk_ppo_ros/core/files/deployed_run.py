"""Names the files of a run without a trainer, which lie in the folder of the run."""

from __future__ import annotations

EPISODES = "episodes.jsonl"
"""A line for each episode that has ended."""
RESULT_TEXT = "results.txt"
"""The result as text."""
RESULT_JSON = "results.json"
"""The result for programs."""
