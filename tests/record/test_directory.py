"""Lines of a run directory are JSON, also where a number is none."""

import json
from pathlib import Path

from msmtrec.record.directory import Lines


def test_numbers_that_json_has_no_word_for_are_null(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "a.jsonl", 0)
    lines.append({"auc": float("nan"), "deep": {"x": [1.0, float("inf"), (2, float("-inf"))]}, "text": "NaN"})
    lines.commit()

    def refuse(word: str) -> None:
        raise AssertionError(word)

    found = json.loads((tmp_path / "a.jsonl").read_text(), parse_constant=refuse)
    assert found == {"auc": None, "deep": {"x": [1.0, None, [2, None]]}, "text": "NaN"}
