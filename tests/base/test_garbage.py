"""The search for cycles rests inside, and is as it was afterwards."""

import gc

import pytest

from msmtrec.base.garbage import no_search_for_cycles


def test_it_goes_on_afterwards_also_after_an_error() -> None:
    found = []

    @no_search_for_cycles()
    def fails() -> None:
        found.append(gc.isenabled())
        raise ValueError("inside")

    assert gc.isenabled()
    with pytest.raises(ValueError, match="inside"):
        fails()
    assert found == [False]
    assert gc.isenabled()


def test_whoever_had_switched_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with no_search_for_cycles():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
