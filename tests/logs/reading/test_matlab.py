"""MATLAB files: one matrix of whole numbers, or one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from msmtrec.base.errors import UserError
from msmtrec.logs.reading.matlab import read_matrix

ROWS = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
NAMES, COLUMNS = ("rating", "rating_with_timestamp"), ("user", "item", "time")


def read(path: Path) -> list[list[int]]:
    return read_matrix(path, NAMES, COLUMNS).tolist()


@pytest.mark.parametrize("version", ["4", "5"])
@pytest.mark.parametrize("kind", ["float64", "int32", "uint8"])
@pytest.mark.parametrize("name", NAMES)
def test_whole_numbers_of_any_type_are_read(tmp_path: Path, version: str, kind: str, name: str) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {name: ROWS.astype(kind), "other": np.ones(2)}, format=version, do_compression=version == "5")
    assert read(path) == ROWS.tolist()


def with_value(value: float) -> np.ndarray:
    rows = ROWS.astype(float)
    rows[1, 2] = value
    return rows


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"ratings": ROWS, "b": ROWS}, "holds the variables ratings, b; it must hold one, and no more, that is called"),
        (dict.fromkeys(NAMES, ROWS), "holds the variables rating, rating_with_timestamp; it must hold one, and no mo"),
        ({"rating": ROWS[:, :2]}, "'rating' is 3 × 2; it must have rows, and 3 columns: user, item, time"),
        ({"rating": ROWS[:0]}, "'rating' is 0 × 3; it must have rows"),
        ({"rating": ROWS.reshape(1, 3, 3)}, "'rating' is 1 × 3 × 3; it must have rows"),
        ({"rating": with_value(6.5)}, r"'rating': time \(column 3\) holds 6.5 in row 2; it must be a whole number"),
        ({"rating": with_value(np.nan)}, "holds nan in row 2"),
        ({"rating": with_value(np.inf)}, "holds inf in row 2"),
        ({"rating": with_value(1e300)}, r"holds 1e\+300 in row 2"),
        ({"rating": ROWS + 1j}, "'rating' must be a full matrix of numbers, not complex128"),
        ({"rating": csc_matrix(ROWS.astype(float))}, "'rating' must be a full matrix of numbers, not csc_"),
        ({"rating": {"user": 1}}, "'rating' must be a full matrix of numbers, not "),
        ({"rating": "text"}, "'rating' must be a full matrix of numbers, not "),
    ],
)
def test_another_variable_is_refused(tmp_path: Path, variables: dict[str, object], sentence: str) -> None:
    savemat(tmp_path / "a.mat", variables)
    with pytest.raises(UserError, match=sentence):
        read(tmp_path / "a.mat")


HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
"""What stands before the HDF5 part, which begins at byte 512."""


@pytest.mark.parametrize("raw", [HEADER.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + b"\0" * 200])
def test_version_7_3_is_refused_by_name(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(raw)
    with pytest.raises(UserError, match=r"a.mat is of MATLAB 7.3 \(HDF5\), which is not read; save it in MATLAB with"):
        read(tmp_path / "a.mat")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_is_not_whole_is_refused_wherever_it_ends(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"rating": np.tile(ROWS, (9, 1))}, do_compression=compressed)
    raw = path.read_bytes()
    for end in range(0, len(raw), 5):
        path.write_bytes(raw[:end])
        with pytest.raises(UserError, match=r"a.mat (is no MATLAB file, or not all|holds the variables \(none\))"):
            read(path)


@pytest.mark.parametrize(
    ("compressed", "place"),
    [(True, 136), (False, 128), (False, 144)],
)
def test_a_damaged_byte_is_noticed(tmp_path: Path, compressed: bool, place: int) -> None:
    """In the compressed bytes, in the type of an element, in the class of the matrix."""
    path = tmp_path / "a.mat"
    savemat(path, {"rating": ROWS}, do_compression=compressed)
    raw = bytearray(path.read_bytes())
    raw[place] = 0
    path.write_bytes(raw)
    with pytest.raises(UserError, match=r"a.mat is no MATLAB file, or not all of one \(.+\); get it again"):
        read(path)


@pytest.mark.parametrize("raw", [b"user,item,time\n1,2,3\n" * 20, b"<!DOCTYPE html>" * 30, b"PK\x03\x04" * 90])
def test_what_is_no_matlab_file_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(raw)
    with pytest.raises(UserError, match=r"a.mat is no MATLAB file"):
        read(tmp_path / "a.mat")
    with pytest.raises(UserError, match=r"b.mat cannot be read: No such file"):
        read(tmp_path / "b.mat")
