"""Many tensors in few slabs: each comes back alone, and a file that is not theirs is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from msmtrec.base.slabs import read_slabs, write_slabs


def example() -> dict[str, Tensor]:
    whole = torch.arange(24, dtype=torch.float32).view(4, 6)
    return {
        "0": whole.T,
        "1": torch.tensor([True, False, True]),
        "2": whole[1, 2:4],
        "3": torch.tensor(5, dtype=torch.int64),
        "4": torch.empty(0, 3),
        "5": torch.tensor([0.1, float("nan"), -0.0], dtype=torch.float64),
        "6": torch.ones(2, dtype=torch.bfloat16),
        "7": torch.empty(0, dtype=torch.int32),
        "8": torch.tensor([[-1, 2**31 - 1]], dtype=torch.int32),
        "9": torch.ones(2, requires_grad=True),
        "11": torch.tensor([7]).expand(1).as_strided((1,), (0,)),  # a single number, whose stride says nothing
        "10": torch.randn(300, 1001, generator=torch.Generator().manual_seed(0))[:, 1:],  # more than a buffer
    }


def bits(value: Tensor) -> Tensor:
    return value.detach().reshape(-1).clone(memory_format=torch.contiguous_format).view(torch.uint8)


def test_tensors_of_all_kinds_and_forms_come_back_in_order(tmp_path: Path) -> None:
    tensors = example()
    shapes = write_slabs(tmp_path / "file", tensors)
    found = read_slabs(tmp_path / "file", shapes)
    for value, back in zip(tensors.values(), found, strict=True):
        assert (back.dtype, back.shape) == (value.dtype, value.shape)
        assert torch.equal(bits(back), bits(value))
        assert back.untyped_storage().nbytes() == back.numel() * back.element_size()  # none keeps the others alive


def test_the_file_is_one_that_safetensors_reads_and_one_of_its_own_is_read(tmp_path: Path) -> None:
    tensors = example()
    shapes = write_slabs(tmp_path / "file", tensors)
    slabs = {
        str(kind): torch.cat([value.detach().reshape(-1) for value in tensors.values() if value.dtype is kind])
        for kind in {value.dtype for value in tensors.values()}
    }
    found = load_file(tmp_path / "file")
    assert found.keys() == slabs.keys()
    assert all(found[kind].dtype is slab.dtype for kind, slab in slabs.items())
    assert all(torch.equal(bits(found[kind]), bits(slab)) for kind, slab in slabs.items())
    written = (tmp_path / "file").read_bytes()
    size = int.from_bytes(written[:8], "little")
    head = json.loads(written[8 : 8 + size])
    assert all((8 + size + head[kind]["data_offsets"][0]) % slab.itemsize == 0 for kind, slab in slabs.items())
    save_file(slabs, tmp_path / "theirs")  # in an order of its own
    back = read_slabs(tmp_path / "theirs", shapes)
    assert all(torch.equal(bits(one), bits(two)) for one, two in zip(back, tensors.values(), strict=True))


def test_nothing_at_all(tmp_path: Path) -> None:
    assert read_slabs(tmp_path / "file", write_slabs(tmp_path / "file", {})) == []


def test_shapes_of_another_file(tmp_path: Path) -> None:
    write_slabs(tmp_path / "file", {"0": torch.ones(3)})
    for long in ("torch.float32", [4]), ("torch.float32", [10**15]):  # before there is memory for it
        with pytest.raises(ValueError, match="ends before its tensors do"):
            read_slabs(tmp_path / "file", [long])
    for short in ([["torch.float32", [2]]], []):
        with pytest.raises(ValueError, match="holds other tensors than its shapes say"):
            read_slabs(tmp_path / "file", short)
    with pytest.raises(KeyError):
        read_slabs(tmp_path / "file", [["torch.float64", [3]]])


def test_slabs_whose_names_are_not_their_types(tmp_path: Path) -> None:
    save_file({"torch.float32": torch.ones(3, dtype=torch.float64)}, tmp_path / "file")
    with pytest.raises(ValueError, match="holds other tensors"):
        read_slabs(tmp_path / "file", [["torch.float32", [3]]])


def test_half_a_file(tmp_path: Path) -> None:
    shapes = write_slabs(tmp_path / "file", example())
    whole = (tmp_path / "file").read_bytes()
    for length in (0, 4, 20, len(whole) - 1):
        (tmp_path / "file").write_bytes(whole[:length])
        with pytest.raises(SafetensorError):
            read_slabs(tmp_path / "file", shapes)
    with pytest.raises(FileNotFoundError):
        read_slabs(tmp_path / "none", shapes)


def test_a_type_that_has_no_slab(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"numbers of type torch.complex64 cannot be written"):
        write_slabs(tmp_path / "file", {"0": torch.ones(2, dtype=torch.complex64)})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk() -> None:
    for count in (3, 10**6):  # noticed on closing, and before
        with pytest.raises(OSError, match="No space left"):
            write_slabs(Path("/dev/full"), {"0": torch.ones(count)})
