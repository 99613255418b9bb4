"""Says in words what the stores of a run hold, and what is damaged in them."""

from __future__ import annotations

from chunk_ppo_ros.agent.stored_run.run_folders import RunFolders, read_live_store
from chunk_ppo_ros.core.units import MEBIBYTE
from chunk_ppo_ros.core.wording.counts import clause, count_of
from chunk_ppo_ros.data.store.segment_file import list_segments
from chunk_ppo_ros.reporting.progress import progress_bar


def list_stores(run: RunFolders) -> list[str]:
    """Returns a line for each store, with its records and its size. Payloads are not read."""
    lines = [f"{'store':<12}{'records':>9}{'files':>7}{'MiB':>10}  damaged"]
    for folder in run.stores():
        contents = read_live_store(folder, check_payloads=False)
        size = contents.num_bytes / MEBIBYTE
        holes = f"{count_of(len(contents.holes), 'place')}, see `store verify`" if contents.holes else "nothing"
        lines.append(f"{folder.name:<12}{len(contents.records):>9}{len(contents.segments):>7}{size:>10.1f}  {holes}")
    return lines


def verify_stores(run: RunFolders) -> tuple[list[str], bool]:
    """Reads every record of a run. Returns what was found, in lines, and whether nothing is damaged."""
    lines, whole = [], True
    for folder in run.stores():
        with progress_bar(f"reading the store {folder.name}", unit="file", total=len(list_segments(folder))) as bar:
            contents = read_live_store(folder, check_payloads=True, on_file=bar.update)
        lines += [f"{folder.name}: {hole}" for hole in contents.holes]
        lines += [f"{folder.name}: {tail}" for tail in contents.unfinished]
        state = "damaged" if contents.holes else "right"
        records = clause(len(contents.records), "record", "was", "were")
        lines.append(f"{folder.name}: {records} read, and the store is {state}")
        whole = whole and not contents.holes
    return lines, whole
