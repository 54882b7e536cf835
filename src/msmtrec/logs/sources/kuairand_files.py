"""Which files of a KuaiRand release are there."""

from __future__ import annotations

from pathlib import Path


class Files:
    """The files of one release.

    Args:
        folder: where they are.
        name: `pure`, `1k` or `27k`, as the file names have it.
        random_log: whether log_random_* belongs to the log.
    """

    def __init__(self, folder: Path, name: str, *, random_log: bool) -> None:
        self.folder = folder
        self.user_file = folder / f"user_features_{name}.csv"
        self.video_file = folder / f"video_features_basic_{name}.csv"
        kinds = ("standard", "random") if random_log else ("standard",)
        logs = {f"log_{kind}_*_{name}*.csv": sorted(folder.glob(f"log_{kind}_*_{name}*.csv")) for kind in kinds}
        self.logs = [path for paths in logs.values() for path in paths]
        self.missing = [path.name for path in (self.user_file, self.video_file) if not path.exists()]
        self.missing += [pattern for pattern, paths in logs.items() if not paths]
