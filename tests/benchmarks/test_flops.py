"""What a step must compute for a row, worked out by hand."""

import flops
import pytest
from made import NUMERICS, SMALL


def test_the_benchmarks_network_as_it_is_written() -> None:
    """17 fields of 128: eight experts of 2176·512 + 512·256 numbers, two towers, two gates; six operations each."""
    numbers = 8 * (2176 * 512 + 512 * 256) + 2 * (256 * 128 + 128 * 64 + 64) + 2 * 2176 * 8
    assert flops.per_row(17 * 128) == 6 * numbers
    assert 6 * numbers == pytest.approx(60.5e6, rel=0.002)


def test_folded_fields_cost_their_values_or_their_embedding() -> None:
    assert flops.folded((10, 100_000), 16, 3) == 10 + 16 + 3
    assert flops.embedded((10, 100_000), 16, 3) == 2 * 16 + 3
    assert flops.folded(SMALL, 128, NUMERICS) == sum(SMALL) + NUMERICS


def test_rebuilding_a_table_is_shared_by_the_batch() -> None:
    """Of 10 values at width 16, a table of 10 rows and 8 · 512 columns; the wide field has none."""
    assert flops.rebuilding((10, 100_000), 16, 2048) == 6 * 10 * 16 * 8 * 512 / 2048
