"""A matrix of whole numbers from a MATLAB file of version 4 to 7; 7.3 is HDF5, which is refused."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from msmtrec.base.errors import UserError

_BROKEN = (zlib.error, OSError, ValueError, TypeError, IndexError, UnboundLocalError)
"""What SciPy raises, beside its own error, for bytes that are no MATLAB file, or not all of one."""
_HDF5 = b"\x89HDF"
_EXACT = 2.0**53
"""Floats are whole numbers one by one up to here."""


def read_matrix(path: Path, names: tuple[str, ...], columns: tuple[str, ...]) -> NDArray[np.int64]:
    """[N, C] the one variable that has any of these names: N rows of C columns, whose names are for messages.

    Raises:
        UserError: the file is unreadable, broken, or of version 7.3; it has none of the names, or several; or the
            variable is no full matrix of C columns, has no rows, or holds other than whole numbers.
    """
    from scipy.io import loadmat, whosmat  # not before it is needed: a fifth of a second
    from scipy.io.matlab import MatReadError

    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    try:
        if raw.startswith(_HDF5):
            raise NotImplementedError
        there = [name for name, _, _ in whosmat(io.BytesIO(raw))]
        found = [name for name in there if name in names]
        matrices = loadmat(io.BytesIO(raw), variable_names=found or names)
    except NotImplementedError as error:
        raise UserError(f"{path} is of MATLAB 7.3 (HDF5), which is not read; save it in MATLAB with -v7") from error
    except (MatReadError, *_BROKEN) as error:
        raise UserError(f"{path} is no MATLAB file, or not all of one ({error}); get it again") from error
    if len(found) != 1:
        raise UserError(
            f"{path} holds the variables {', '.join(there) or '(none)'}; it must hold one, and no more, that is called"
            f" {' or '.join(names)}"
        )
    return _whole(matrices[found[0]], f"{path}: variable '{found[0]}'", columns)


def _whole(matrix: object, what: str, columns: tuple[str, ...]) -> NDArray[np.int64]:
    if not isinstance(matrix, np.ndarray) or matrix.dtype.kind not in "iuf":
        kind = matrix.dtype if isinstance(matrix, np.ndarray) else type(matrix).__name__
        raise UserError(f"{what} must be a full matrix of numbers, not {kind}")
    if matrix.ndim != 2 or matrix.shape[1] != len(columns) or not len(matrix):
        shape = " × ".join(map(str, matrix.shape))
        raise UserError(f"{what} is {shape}; it must have rows, and {len(columns)} columns: {', '.join(columns)}")
    odd = ~((np.abs(matrix.astype(np.float64)) <= _EXACT) & (matrix == np.floor(matrix)))
    if odd.any():
        row, column = np.argwhere(odd)[0]
        raise UserError(
            f"{what}: {columns[column]} (column {column + 1}) holds {matrix[row, column]} in row {row + 1};"
            " it must be a whole number"
        )
    return matrix.astype(np.int64)
