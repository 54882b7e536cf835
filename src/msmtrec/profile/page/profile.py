"""The data profile as one self-contained page; nothing on it needs a network."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape

from msmtrec.base.errors import UserError
from msmtrec.base.version import __version__
from msmtrec.data.logs import SPLITS
from msmtrec.profile import apart, drift, hashes
from msmtrec.profile.page import profile_tables as tables
from msmtrec.profile.page.profile_advice import advise
from msmtrec.profile.page.profile_plots import growth, label_rates, rows_over_time, unknown_over_time
from msmtrec.profile.profile import COMPARED, SHOWN, Profile
from msmtrec.record.directory import write_atomic

GENERATOR = "msmtrec data profile"
"""In the page's head: how a page of ours is known again."""
_DRAWN = 8
"""Scenarios with a figure of their own, or a line in one."""
_FIELDS = 4
"""Fields with figures: the group and those with the most values."""


def writable(path: Path) -> None:
    """The page may be written here: nothing is there, or an earlier page.

    Raises:
        UserError: something else is, or the folder is missing or closed.
    """
    try:
        if path.is_dir():
            raise UserError(f"--html {path} is a folder; name a file in it, such as {path / 'profile.html'}")
        if not path.parent.is_dir():
            raise UserError(f"--html {path}: the folder {path.parent} does not exist; create it or choose another file")
        if path.exists() and not (path.is_file() and _is_ours(path)):
            raise UserError(f"--html {path} exists and is no data profile; choose another name or remove it")
    except OSError as error:
        raise UserError(f"--html {path} cannot be looked at: {error.strerror}; choose another file") from error
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"--html {path}: the folder {path.parent} cannot be written to; choose another file")


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return f'<meta name="generator" content="{GENERATOR}">'.encode() in file.read(2048)


def write_profile(profile: Profile, path: Path, *, config: str, made: datetime) -> None:
    """Render and write the page, all of it or nothing.

    Args:
        config: what the user named, for the page's foot; made: when.

    Raises:
        UserError: the place is taken by something else, or cannot be written.
    """
    writable(path)
    page = render(profile, config=config, made=made)
    try:
        write_atomic(path.resolve(), page)
    except OSError as error:
        raise UserError(f"cannot write --html {path}: {error.strerror}; choose another file") from error


def render(profile: Profile, *, config: str, made: datetime) -> str:
    """The page; the same text for the same profile, config and time."""
    environment = Environment(
        loader=PackageLoader("msmtrec.profile.page"),
        autoescape=select_autoescape(["j2", "html"]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"share": tables.share, "many": tables.many}
    advice = advise(profile)
    drawn = tables.largest(profile, _DRAWN)
    fields = [found.field for found in profile.overlaps[:_FIELDS]]
    return environment.get_template("profile.html.j2").render(
        profile=profile,
        generator=GENERATOR,
        version=__version__,
        config=config,
        made=made.strftime("%Y-%m-%d %H:%M %Z").strip(),
        splits=SPLITS,
        advice=advice,
        advised={section: [a.text for a in advice if a.section == section] for section in {a.section for a in advice}},
        rows=tables.rows_table(profile),
        time_figures=[(name, rows_over_time(profile, name, f"rows-{n}")) for n, name in enumerate(drawn)],
        bins=tables.bins_table(profile, drawn),
        drawn=drawn,
        labels=tables.labels_table(profile),
        label_figure=label_rates(
            {n: {t: profile.rows[n].rate(t) for t in profile.rows[n].labels} for n in profile.shown},
            profile.schema.task_names,
            "rates",
        ),
        overlaps=[tables.overlap_part(profile, n, found) for n, found in enumerate(profile.overlaps[:_FIELDS])],
        coverage=tables.coverage_table(profile),
        growth=[(name, growth(profile.fields[name], drawn, f"growth-{n}")) for n, name in enumerate(fields)],
        late=[
            (name, unknown_over_time(profile, profile.fields[name], drawn, f"unknown-{n}"))
            for n, name in enumerate(fields)
        ],
        vocabulary=tables.vocabulary_table(profile),
        between=tables.drift_part(profile, profile.between, "drift between scenarios"),
        over_time=tables.drift_part(profile, profile.over_time, "drift from training to test"),
        apart=tables.apart_part(profile),
        duplicates=tables.duplicates_table(profile),
        empty=tables.empty_table(profile),
        limits={
            "shown": SHOWN, "drawn": _DRAWN, "fields": _FIELDS, "compared": COMPARED, "distinct": hashes.LIMIT,
            "top": drift.TOP, "notable": drift.NOTABLE, "large": drift.LARGE,
            "apart": apart.SCENARIOS, "apart_rows": apart.ROWS, "many": apart.MANY,
        },
    )  # fmt: skip
