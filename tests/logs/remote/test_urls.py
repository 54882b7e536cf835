"""Which URLs are taken as names of files, and that none holds a secret."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from logs.sources.tabular import BASE, source
from msmtrec.base.errors import UserError
from msmtrec.logs.remote.urls import as_file, copied_as, is_pattern, is_url
from msmtrec.logs.sources.tabular import Tabular

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"https://me:{SECRET}@host/x.csv", r"holds a user or a password; remove it"),
        (f"https://{SECRET}@host/x.csv", r"holds a user or a password; remove it"),
        (f"s3://AKIA:{SECRET}@bucket/x.csv", r"holds a user or a password; remove it"),
        (f"s3://AKIA:{SECRET}/more@bucket/x.csv", r"names no bucket; write s3://BUCKET/PATH"),
        (f"https://me:{SECRET}/more@host/x.csv", r"names no server"),
        (f"https://host/x.csv?X-Amz-Signature={SECRET}", r"host/x.csv is followed by 'X-Amz-Signature', which may be"),
        (f"https://host/x.csv?sv=1&sig={SECRET}", r"followed by 'sig'"),
        (f"https://host/x.csv?a=1&Access_Token={SECRET}", r"followed by 'Access_Token'"),
        (f"https://host/x.csv?q={SECRET * 6}", r"followed by 'q', which may be a secret"),
        (f"s3://bucket/x.csv?secret_key={SECRET}", r"settings after '\?'; give them in the environment"),
        ("https://host/x.csv#part", r"write %23 if the name holds it"),
        ("https://host/", r"names no file"),
        ("https://host/logs/%2e%2e", r"names no file"),
        ("https://host/logs/a%00.csv", r"names no file"),
        ("s3://bucket", r"names no file"),
        ("s3://bucket/logs/", r"names no file"),
        ("https://host/*.csv", r"a web server has no list of its files; name each of them"),
        ("s3a://bucket/x.csv", r"cannot be fetched from s3a://…; write s3://…"),
        ("hdfs://host/x.csv", r"cannot be fetched from hdfs://…; "),
        ("file:///x.csv", r"without file://"),
        ("https:/host/x.csv", r"begins with https:// and is given as text"),
        ("https://host/x.csv\nmore", r"sign that cannot be seen"),
    ],
)
@pytest.mark.parametrize("form", ["file", "list", "mapping"])
def test_what_cannot_be_asked_for_is_refused_without_its_secret(url: str, said: str, form: str) -> None:
    files = {"file": url, "list": ["a.csv", url], "mapping": {"NL": [url]}}[form]
    changes = {"scenario": ...} if form == "mapping" else {}
    with pytest.raises(UserError, match=rf"^data\.files: .*{said}") as caught:
        source(files, **changes)
    chain: list[BaseException] = [caught.value]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    assert not [error for error in chain if SECRET in str(error)]


def test_a_url_that_python_made_a_path_of_is_refused() -> None:
    with pytest.raises(UserError, match=r"begins with s3:// and is given as text, not as a Path"):
        source([Path("s3://bucket/x.csv")])


def test_urls_stay_text_and_the_rest_are_paths() -> None:
    names = ["S3://bucket/Logs/*.parquet", "logs/*.csv", "https://host/export?format=csv"]
    found = source(names).files
    assert found == ("s3://bucket/Logs/*.parquet", Path("logs/*.csv"), "https://host/export?format=csv")
    assert Tabular.model_validate_json(source(names).model_dump_json()).files == found
    assert Tabular(**{**BASE, "files": "s3://bucket/x.csv"}).files == "s3://bucket/x.csv"
    assert source({"NL": "https://host/x.csv", "FR": ["y.csv"]}, scenario=...).files == {
        "NL": "https://host/x.csv",
        "FR": (Path("y.csv"),),
    }


def test_windows_and_odd_names_are_no_urls() -> None:
    assert [is_url(name) for name in ("a:b.csv", "c:/x.csv", "s3:x", Path("x"), "https://h/x")] == [False] * 4 + [True]
    assert as_file("a b://c") == Path("a b://c")


@pytest.mark.parametrize(
    ("url", "copy"),
    [
        ("https://host/a/b/x.csv.gz?raw=true", "x.csv.gz"),
        ("https://host/my%20logs%2A.csv", "my logs_.csv"),
        ("s3://bucket/logs/country=NL/day=1/x y.parquet", "country=NL/day=1/x y.parquet"),
        ("gs://bucket/100%25.csv", "100%25.csv"),
    ],
)
def test_a_copy_is_called_as_the_file_and_keeps_folders_that_are_columns(url: str, copy: str) -> None:
    assert copied_as(url) == PurePosixPath(copy)


def test_only_buckets_have_patterns() -> None:
    assert is_pattern("s3://bucket/2026-0[12]/*.csv")
    assert not is_pattern("https://host/x.csv?a=1")
    assert not is_pattern("gs://bucket/x.csv")
