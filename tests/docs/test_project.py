"""What is handed on: the wheel, the source archive, and how to cite them."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

from msmtrec.base.version import __version__
from places import ROOT

DATA = {"py.typed", *(f"configs/{name}.yaml" for name in ("epinions", "kuairand", "movielens-1m", "synthetic"))}
"""What a wheel has besides modules; and the templates of the pages."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_wheel_has_what_the_program_needs_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    source = ROOT / "src" / "msmtrec"
    files = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert {name.removeprefix("msmtrec/") for name in names if name.startswith("msmtrec/")} == files
    assert files >= DATA
    assert {Path(name).suffix for name in files} == {".py", ".yaml", ".typed", ".j2", ".css", ".js"}
    assert {name.split("/")[0] for name in names} == {"msmtrec", f"msmtrec-{__version__}.dist-info"}


def test_the_wheel_says_what_it_is(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    (info,) = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()} - {"msmtrec"}
    told = Parser().parsestr(zipfile.ZipFile(wheel).read(f"{info}/METADATA").decode())
    assert (told["Name"], told["Version"], told["License-Expression"]) == ("msmtrec", __version__, "Apache-2.0")
    assert told["Description-Content-Type"] == "text/markdown"
    entry = zipfile.ZipFile(wheel).read(f"{info}/entry_points.txt").decode()
    assert "msmtrec = msmtrec.cli.main:main" in entry


def test_the_source_archive_has_sources_documentation_and_no_data(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {member.name.partition("/")[2] for member in tar.getmembers()}
        size = sum(member.size for member in tar.getmembers())
    for needed in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "mkdocs.yml",
        "docs/index.md",
        "CITATION.cff",
    ):
        assert needed in names
    assert "src/msmtrec/report/templates/page.html.j2" in names
    assert not [name for name in names if name.startswith(("tests", ".ci", "runs", "data", "site", ".venv"))]
    assert size < 6e6  # figures of campaigns, docs/results, are a quarter


ALLOWED = {
    *("abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers", "keywords"),
    *("license", "license-url", "message", "preferred-citation", "references", "repository", "repository-artifact"),
    *("repository-code", "title", "type", "url", "version"),
}
"""Keys of a CITATION.cff, version 1.2.0 of its schema."""
PERSON, ENTITY = {"given-names", "family-names"}, {"name"}


def test_the_citation_is_one_that_tools_can_read() -> None:
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert told.keys() <= ALLOWED
    assert {"cff-version", "message", "title", "authors"} <= told.keys()
    assert (told["cff-version"], told["type"], told["version"]) == ("1.2.0", "software", __version__)
    assert told["license"] == "Apache-2.0"
    for author in told["authors"]:
        assert author.keys() in (PERSON, ENTITY)
    (paper,) = told["references"]
    assert {"type", "title", "authors", "year", "url"} <= paper.keys()
    assert len(paper["authors"]) == 10
    assert all(author.keys() == PERSON for author in paper["authors"])


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    made = {"commands.md", "keys.md"}  # when the site is built
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)  # code has such brackets
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists() or target in made, target


GAIN = re.compile(r"([+−]\d\.\d\d)\W* \(p ([<.\d]+)\)")


@pytest.mark.parametrize("page", ["README.md", "docs/what-to-expect.md"])
def test_gains_are_those_of_the_results(page: str) -> None:
    pages = [(ROOT / "docs" / name).read_text() for name in ("results.md", "results-earlier.md")]
    results = "\n".join(pages).replace("-0.", "−0.")
    gains = GAIN.findall((ROOT / page).read_text())
    assert len(gains) >= 7
    assert [gain for gain in gains if "{} (p {})".format(*gain) not in results] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_list_has_an_empty_line_before_it(page: Path) -> None:
    """GitHub draws it without one; the site makes a paragraph of it."""
    for before, line in itertools.pairwise(page.read_text().splitlines()):
        if re.match(r"(- |\d+\. )", line):
            assert not before.strip() or re.match(r"(- |\d+\. |  )", before), line
