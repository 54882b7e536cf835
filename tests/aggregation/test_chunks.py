import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from msmtrec.aggregation import chunks
from properties import gram_matrix


@pytest.fixture(params=["one block", "many blocks", "many strips"])
def _widths(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many blocks":
        monkeypatch.setattr(chunks, "_CACHE_BYTES", 0)
        monkeypatch.setattr(chunks, "_LEAST_COLUMNS", 7)
    if request.param == "many strips":
        monkeypatch.setattr(chunks, "_STRIP_BYTES", 7 * 8 * 50)


def tensors(K: int, shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for _ in range(K)]


def stacked(values: list[Tensor]) -> Tensor:
    return torch.stack([v.double().flatten() for v in values])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("K", [1, 3, 300])
@pytest.mark.usefixtures("_widths")
def test_equal_to_the_stacked_sums(K: int, dtype: torch.dtype) -> None:
    values, base = tensors(K, (5, 10), dtype), tensors(K, (5, 10), dtype, seed=1)
    coefficients = torch.linspace(-1, 2, K, dtype=torch.float64)
    delta, direction = stacked(values) - stacked(base), values[0] + 1
    found = chunks.gram(values, base)
    assert torch.equal(found, found.T)
    assert torch.allclose(found, gram_matrix(delta), rtol=1e-12, atol=1e-11)
    assert torch.allclose(chunks.gram(values), gram_matrix(stacked(values)), rtol=1e-12, atol=1e-11)
    several = chunks.gram_of([(values, base), (values, None)])
    assert torch.equal(several, chunks.gram(values, base) + chunks.gram(values))
    assert torch.allclose(chunks.dots(values, direction, base), delta @ direction.double().flatten(), rtol=1e-11)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    for result, plain in (
        (chunks.combine(coefficients, values, base), coefficients @ delta),
        (chunks.combine(coefficients, values), coefficients @ stacked(values)),
        (chunks.combine_each(torch.stack([coefficients, -coefficients]), values, base)[1], -coefficients @ delta),
        (chunks.mean(values), stacked(values).mean(0)),
        (
            chunks.mean(values, coefficients + 2),
            torch.einsum("k,kp->p", (coefficients + 2) / (coefficients + 2).sum(), stacked(values)),
        ),
    ):
        assert (result.shape, result.dtype) == ((5, 10), dtype)
        assert torch.allclose(result.double().flatten(), plain, rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("_widths")
def test_updates_are_differences_in_float64() -> None:
    # in float32 the differences of these would be off by more than the differences
    base = [torch.full((30,), 1.0) for _ in range(2)]
    values = [torch.full((30,), 1.0 + 2**-20), torch.full((30,), 1.0 - 2**-21)]
    assert chunks.gram(values, base).tolist() == [[30 * 2**-40, -30 * 2**-41], [-30 * 2**-41, 30 * 2**-42]]
    assert torch.equal(chunks.combine(torch.ones(2), values, base), torch.full((30,), 2**-21))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("K", [1, 3, 7, 10])
def test_the_mean_of_equal_numbers_is_that_number(K: int, dtype: torch.dtype) -> None:
    value = tensors(1, (50,), dtype)[0]
    assert torch.equal(chunks.mean([value] * K), value)
    assert torch.equal(chunks.mean([value] * K, torch.arange(1, K + 1)), value)


def test_parts_of_larger_tensors_are_read_where_they_lie() -> None:
    whole = torch.randn(3, 4, 6, dtype=torch.float64)
    assert torch.equal(chunks.mean([w[2] for w in whole]), chunks.mean([w[2].clone() for w in whole]))
    turned = [w.T for w in whole]  # not contiguous
    assert torch.allclose(chunks.mean(turned), whole.mean(0).T)


def test_shapes_and_counts_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[3\] and \[4\]"):
        chunks.gram([torch.zeros(3), torch.zeros(4)])
    with pytest.raises(ValueError, match=r"\[3\] and \[2\]"):
        chunks.gram([torch.zeros(3)], [torch.zeros(2)])
    with pytest.raises(ValueError, match="2 values and 1 base"):
        chunks.gram([torch.zeros(3)] * 2, [torch.zeros(3)])


def test_blocks_are_bounded_and_cover_all_columns() -> None:
    for K, size, multiple in ((1000, 30_000, 1), (16, 240_000, 24), (3, 10, 5), (20_000, 600, 3)):
        row = torch.zeros(size)
        seen = 0
        for columns, block in chunks.blocks([row] * K, multiple=multiple):
            assert columns.start == seen
            assert block.shape == (K, columns.stop - columns.start)
            assert block.shape[1] % multiple == 0
            assert block.numel() * 8 <= chunks.BLOCK_BYTES
            seen = columns.stop
        assert seen == size


STEP = """
import re
from pathlib import Path
import torch
from msmtrec.aggregation import chunks
from msmtrec.aggregation.alignment import by_moments, consensus
from msmtrec.aggregation.conflict import coordinate

def step(W, last):
    solved = coordinate(chunks.gram(W, last), 0.4)
    return (consensus(W, by_moments(W), last, solved.coefficients), chunks.combine(solved.coefficients, W, last),
            chunks.mean(W), chunks.dots(W, W[0], last))

def peak():  # of this program; getrusage would start from the parent's
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

torch.set_num_threads(1)
small = [torch.randn(1000) for _ in range(16)]
step(small, small[::-1])  # libraries are loaded
before = peak()
W = [torch.randn(2_000_000) for _ in range(16)]
last = [torch.randn(2_000_000) for _ in range(16)]
held = peak()
results = step(W, last)
print(held - before, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read a program's peak memory from")
def test_memory_stays_near_the_inputs() -> None:
    ran = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True, check=True)
    held, peak = map(int, ran.stdout.split())
    inputs = 2 * 16 * 2_000_000 * 4
    assert held == pytest.approx(inputs, rel=0.1)  # what is measured is what is meant
    assert peak < 1.25 * inputs + 50e6
