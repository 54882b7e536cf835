"""Many tensors in few slabs: each comes back alone, and a file that is not theirs is refused."""

from pathlib import Path

import pytest
import torch

from msmtrec.base.slabs import read_slabs, write_slabs


def test_tensors_of_all_kinds_and_forms_come_back_in_order(tmp_path: Path) -> None:
    whole = torch.arange(24, dtype=torch.float32).view(4, 6)
    tensors = {
        "0": whole.T,
        "1": torch.tensor([True, False]),
        "2": whole[1, 2:4],
        "3": torch.tensor(5, dtype=torch.int64),
        "4": torch.empty(0, 3),
        "5": torch.tensor([0.1, float("nan")], dtype=torch.float64),
        "6": torch.ones(2, dtype=torch.bfloat16),
    }
    shapes = write_slabs(tmp_path / "file", tensors)
    found = read_slabs(tmp_path / "file", shapes)
    for value, back in zip(tensors.values(), found, strict=True):
        assert (back.dtype, back.shape) == (value.dtype, value.shape)
        assert torch.equal(back.nan_to_num(), value.nan_to_num())
        assert back.untyped_storage().nbytes() == back.numel() * back.element_size()  # none keeps the others alive


def test_nothing_at_all(tmp_path: Path) -> None:
    assert read_slabs(tmp_path / "file", write_slabs(tmp_path / "file", {})) == []


def test_shapes_of_another_file(tmp_path: Path) -> None:
    write_slabs(tmp_path / "file", {"0": torch.ones(3)})
    with pytest.raises(ValueError, match="ends before its tensors do"):
        read_slabs(tmp_path / "file", [["torch.float32", [4]]])
    for short in ([["torch.float32", [2]]], []):
        with pytest.raises(ValueError, match="holds other tensors than its shapes say"):
            read_slabs(tmp_path / "file", short)
