"""How far a long work is: bars with a rate and an end, and the end of a whole run."""

from chunk_ppo_ros.reporting.progress.bar import ProgressBar, progress_bar

__all__ = ["ProgressBar", "progress_bar"]
