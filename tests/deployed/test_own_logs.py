"""Own logs: each node has its own file and nothing else; the run is that of all files on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from deployed.pretend import Pretend
from deployed.same import same_as
from msmtrec import run
from msmtrec.base.errors import UserError
from msmtrec.config.agreed import parse_agreed
from msmtrec.deployed.node import Node
from msmtrec.deployed.server import Federation

NAMES = ("BE", "NL")
AGREED: dict[str, Any] = {
    "name": "own",
    "train": {"rounds": 2, "local_epochs": 0.5, "batch_size": {"BE": 32, "NL": 64}, "stack": "off", "threads": 1},
    "methods": {
        "emb-only": {"statistics": {"least": 5, "history": "days"}},
        "recommended": {"method": "pf-msmtrec", "model": {"experts": 2}},
    },
    "seeds": 1,
}


def data(files: dict[str, str]) -> dict[str, Any]:
    return {
        "source": "tabular",
        "files": files,
        "tasks": {"click": None, "buy": {"within": "click"}},
        "features": {
            "user": None,
            "item": {"shared": {"hash": 64}},
            "tags": {
                "kind": "multi",
                "separator": "|",
                "max_values": 3,
                "shared": {"values": [f"t{n}" for n in range(5)]},
            },
            "price": {"kind": "numeric", "scale": "log"},
        },
        "split": {"time": "time", "fractions": [0.6, 0.2, 0.2]},
        "group": "user",
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Scenario -> its CSV file: other users, prices and lengths in each."""
    folder, found = tmp_path_factory.mktemp("logs"), {}
    for n, name in enumerate(NAMES):
        random, rows = np.random.default_rng(n), 400 + 150 * n
        item, click = random.integers(0, 30, rows), random.random(rows) < 0.4
        frame = pl.DataFrame(
            {
                "user": [f"{name}{u}" for u in random.integers(0, 25, rows)],
                "item": [f"i{i}" for i in item],
                "tags": ["|".join(f"t{t}" for t in random.integers(0, 6, k)) for k in random.integers(0, 4, rows)],
                "price": random.gamma(2, 10 * (n + 1), rows).round(2),
                "time": 1_700_000_000 + np.sort(random.integers(0, 9 * 86_400, rows)),
                "click": click.astype(int),
                "buy": (click & (random.random(rows) < 0.3 + 0.01 * item)).astype(int),
            }
        )
        frame.write_csv(folder / f"{name}.csv")
        found[name] = str(folder / f"{name}.csv")
    return found


def nodes(folder: Path, files: dict[str, str]) -> Pretend:
    return Pretend(
        {
            name: lambda name=name, path=path: Node(folder / name, data({name: path}), (name,))  # type: ignore[misc]
            for name, path in files.items()
        }
    )


def test_each_with_its_own_file_is_all_files_together(files: dict[str, str], tmp_path: Path) -> None:
    run({**AGREED, "data": data(files)}, out=tmp_path / "together", cache=False, caution=lambda _: None)
    own = {name: (name,) for name in NAMES}
    Federation(parse_agreed(AGREED), own, nodes(tmp_path, files), tmp_path / "server").run()
    tensors, figures = same_as(tmp_path / "together", tmp_path / "server", [tmp_path / name for name in NAMES])
    assert min(tensors, figures) > 10
    for name in NAMES:  # of the other one there is nothing
        kept = {path.name for path in (tmp_path / name).rglob("*.safetensors")}
        assert not [file for file in kept if file.startswith(({*NAMES} - {name}).pop())]


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"BE": 32, "NL": 64, "FR": 8}, "train.batch_size: there is no scenario 'FR'"),
        ({"BE": 32}, "train.batch_size has no number for scenario 'NL'"),
    ],
)
def test_batch_sizes_are_those_of_the_federation(
    sizes: dict[str, int], sentence: str, files: dict[str, str], tmp_path: Path
) -> None:
    agreed = parse_agreed({**AGREED, "train": {**AGREED["train"], "batch_size": sizes}})
    with pytest.raises(UserError, match=sentence):
        Federation(agreed, {name: (name,) for name in NAMES}, nodes(tmp_path, files), tmp_path / "server")
