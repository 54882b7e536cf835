import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from called import called
from msmtrec.base.version import __version__
from msmtrec.cli.main import app
from msmtrec.config.reference import groups
from msmtrec.models import MODELS

SMALL = ["--set", "train.rounds=1", "--set", "train.local_steps=2", "--set", "seeds=2", "--set", "jobs=1"]
SMALL += [
    "--set",
    "fine_tune=false",
    "--set",
    "data.rows=600",
    "--set",
    "methods={local: null, paper: {method: pf-msmtrec, preset: paper}}",
]


def test_train_and_show_print_the_same_tables(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = called(capsys, "train", "synthetic", *SMALL, "--out", str(tmp_path / "run"))
    assert code == 0
    for word in ("scenario-0", "conversion", "paper", "±", "Row − column", "GAUC", str(tmp_path / "run")):
        assert word in out
    assert called(capsys, "show", str(tmp_path / "run"))[1] == out
    lines = called(capsys, "show", str(tmp_path / "run"), "--markdown")[1].splitlines()
    assert lines[0] == "| scenario | task | local | paper |"
    assert {line.count("|") for line in lines} == {0, 3, 4, 5, 7, 9}
    code, out, _ = called(capsys, "show", str(tmp_path / "run"), "--csv")
    assert (code, out) == (0, (tmp_path / "run" / "results.csv").read_text())
    assert len(out.splitlines()) == 1 + 2 * 4 * 2 * 2  # contenders, scenarios, tasks, seeds
    assert "not both" in called(capsys, "show", str(tmp_path / "run"), "--csv", "--markdown")[2]
    assert called(capsys, "show", str(tmp_path / "run"), "--summary", "--latex")[2] == (
        "error: give --latex or --summary, not both\n"
    )
    assert called(capsys, "show", str(tmp_path / "run"), "--latex")[1].startswith("% \\usepackage{booktabs}\n")
    assert json.loads(called(capsys, "show", str(tmp_path / "run"), "--summary")[1])["contenders"].keys() == {
        "local",
        "paper",
    }
    page = (tmp_path / "run" / "report.html").read_text()
    (tmp_path / "run" / "report.html").unlink()
    code, out, _ = called(capsys, "report", str(tmp_path / "run"))
    assert (code, out) == (0, f"{tmp_path / 'run' / 'report.html'}\n")
    assert (tmp_path / "run" / "report.html").read_text() == page
    assert called(capsys, "report", str(tmp_path / "run"), "--out", str(tmp_path / "x.html"))[0] == 0
    assert (tmp_path / "x.html").read_text() == page


@pytest.mark.parametrize("content", ["{}", "[1]", '{"name": "t", "lines": [], "cells": {}}'])
def test_show_of_a_foreign_run(capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str) -> None:
    (tmp_path / "results.json").write_text(content)
    code, out, err = called(capsys, "show", str(tmp_path))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "results.json is from another version or damaged" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "nothing.yaml"], "cannot read the config nothing.yaml"),
        (["train", "kuairnad"], "did you mean 'kuairand'?"),
        (["train", "synthetic", "--set", "train.rouns=1"], "unknown config key 'train.rouns'; did you mean 'rounds'?"),
        (["report"], "name a run directory, such as: msmtrec report runs/demo-kuairand"),
        (["report", "nowhere"], "there is no run in nowhere; name the folder that train wrote"),
        (["report", "nowhere", "nothing"], "there is no run in nowhere"),
        (["show", "nowhere"], "there is no run in nowhere; name the folder that train wrote"),
        (["data", "fetch", "movielens"], "no data set 'movielens' to fetch; did you mean 'movielens-1m'?"),
        (["data", "check", "synthetic", "--set", "data.users=0"], "data.users:"),
        (["data", "check", "synthetic", "--set", "data.rows=0"], "data.rows: must be at least 1, not 0"),
        (["train", "synthetic", "--set", "data.seed=2026-02-30"], "'2026-02-30' is no possible date"),
        (["train", "synthetic", "--set", "methods=[{method: fedavg}]"], "methods[0] must be a method's name"),
    ],
)
def test_mistakes_exit_2_with_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    code, out, err = called(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert sentence in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    groups = [([], app), *(([g.name], g.typer_instance) for g in app.registered_groups)]
    for path, group in groups:
        for command in group.registered_commands:
            name = command.name or command.callback.__name__.replace("_", "-")
            code, out, _ = called(capsys, *path, name, "--help")
            assert code == 0
            assert "Example:" in out, name


def test_describe_and_check(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(capsys, "data", "describe", "synthetic", "--set", "data.rows=600")
    assert code == 0
    assert "scenario-3" in out
    assert "420" in out  # 70 % of 600
    code, out, _ = called(capsys, "data", "check", "synthetic", "--set", "data.rows=2000")
    assert (code, out) == (0, "4 scenarios, 8,000 rows: usable\n")


def test_check_warns_of_leakage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import polars as pl

    n = 200
    pl.DataFrame(
        {
            "s": ["a"] * n,
            "click": [i % 3 // 2 for i in range(n)],
            "watched": [i % 3 // 2 * 9.5 for i in range(n)],
            "u": [i % 7 for i in range(n)],
            "tags": ["bought|x" if i % 3 // 2 else f"x|t{i % 5}" for i in range(n)],
        }
    ).write_csv(tmp_path / "logs.csv")
    (tmp_path / "c.yaml").write_text(
        f"data: {{source: tabular, files: {tmp_path}/logs.csv, scenario: s, tasks: {{click: }},"
        " features: {u: , watched: {kind: numeric}, tags: {kind: multi, separator: '|'}},"
        " split: {fractions: [.6, .2, .2]}}\nmethods: [local]\n"
        "train: {local_steps: 1}\n"
    )
    code, out, _ = called(capsys, "data", "check", str(tmp_path / "c.yaml"))
    assert code == 0
    assert "leakage? feature 'tags' alone reaches AUC 1.0000" in out
    assert "feature 'u'" not in out
    assert "leakage? feature 'watched' alone reaches AUC 1.0000 for task 'click' in scenario 'a'" in out
    assert "2 warnings, 1 note" in out  # every 105th row is the same, so that test rows copy training rows


def test_logs_are_looked_at_before_anything_else_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MSMTREC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "shop").mkdir()
    config = Path(own_data(tmp_path / "shop", "{hash: 64}"))
    data, _, _ = config.read_text().replace(f"{tmp_path}/shop/", "").partition("\n")
    config.write_text(data)
    monkeypatch.chdir(tmp_path)
    assert called(capsys, "data", "check", "shop/c.yaml")[:2] == (
        0,
        "the split: 60 / 20 / 20 % training / validation / test rows (asked: 60 / 20 / 20 %)\n"
        "1 scenario, 200 rows: usable\n",
    )
    code, out, err = called(capsys, "data", "describe", "shop/c.yaml", "--html", "profile.html")
    assert (code, "profile: profile.html" in out) == (0, True), err
    assert (tmp_path / "profile.html").exists()
    code, _, err = called(capsys, "train", "shop/c.yaml")
    assert (code, err) == (2, "error: the config has no 'methods'; see configs/ for examples\n")
    config.write_text(f"{data}\ntrian: {{rounds: 2}}")
    code, _, err = called(capsys, "data", "check", "shop/c.yaml")
    assert (code, err) == (2, "error: unknown config key 'trian'; did you mean 'train'?\n")


def own_data(folder: Path, shared: str, batch: str = "4") -> str:
    """A config of 200 rows whose item ids are 1000 … 1006."""
    lines = [f"a,{1000 + n % 7},{n % 3 // 2}" for n in range(200)]
    (folder / "logs.csv").write_text("\n".join(["s,item,click", *lines]) + "\n")
    (folder / "c.yaml").write_text(
        f"data: {{source: tabular, files: {folder}/logs.csv, scenario: s, tasks: {{click: }},"
        f" features: {{item: {{shared: {shared}}}}}, split: {{fractions: [.6, .2, .2]}}}}\nmethods: [local]\n"
        f"train: {{local_steps: 1, batch_size: {batch}}}\n"
    )
    return str(folder / "c.yaml")


@pytest.mark.parametrize(
    ("shared", "warning"),
    [
        (
            "{ids: 100}",
            "warning: shared field 'item' of scenario 'a': 100 % of test values are outside its id space;"
            " ids are integers from 0 to 99",
        ),
        ("{values: ['x']}", "100 % of test values are outside its id space; check the list"),
        ("{values: ['1000', '1001', '1002', '1003', '1004']}", ""),
        ("{hash: 100}", ""),
    ],
)
def test_check_warns_of_values_outside_a_shared_id_space(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, shared: str, warning: str
) -> None:
    code, out, _ = called(capsys, "data", "check", own_data(tmp_path, shared))
    assert code == 0
    assert warning in out
    assert out.endswith("1 scenario, 200 rows: usable, 1 warning\n" if warning else "1 scenario, 200 rows: usable\n")
    code, out, _ = called(capsys, "data", "describe", own_data(tmp_path, shared))
    assert code == 0
    assert ("100.0% outside item" in out) == bool(warning)


def test_check_warns_of_a_batch_size_for_nobody(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = called(capsys, "data", "check", own_data(tmp_path, "{hash: 9}", "{a: 4, aa: 4}"))
    assert code == 0
    assert "warning: train.batch_size: there is no scenario 'aa'; did you mean 'a'?" in out


def test_every_setting_is_listed_with_default_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(capsys, "list", "settings")
    assert code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
    found = {key: (default, meaning) for key, default, meaning in rows if key}
    assert found.keys() == {group.key(setting) for group in groups() for setting in group.settings}
    assert all(default and len(meaning) > 5 for default, meaning in found.values())
    assert found["model.expert_layers (mmoe)"][0] == "[32, 16]"
    assert found["data.source"][0] == "required"


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert called(capsys, "--version") == (0, f"msmtrec {__version__}\n", "")


def test_resuming_what_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["train", "synthetic", *SMALL]
    assert called(capsys, *arguments, "--out", str(tmp_path / "first"))[0] == 0
    code, out, err = called(capsys, *arguments, "--out", str(tmp_path / "frist"), "--resume")
    assert (code, out) == (2, "")
    assert err.endswith(f"there is no run in {tmp_path / 'frist'} to resume; did you mean {tmp_path / 'first'}?\n")
    code, _, err = called(capsys, *arguments, "--out", str(tmp_path / "quite" / "other"), "--resume")
    assert (code, err.count("start it without --resume")) == (2, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["first"]


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert "pf-msmtrec" in called(capsys, "list", "methods")[1]
    models = called(capsys, "list", "models")[1]
    for name, settings in MODELS.items():
        assert name in models
        assert all(key in models for key in settings.model_fields if key != "name")
    assert "tabular" in called(capsys, "list", "datasets")[1]
    assert "movielens-1m" in called(capsys, "data", "list")[1]


def test_python_dash_m() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "msmtrec", "list", "methods"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "fedavg-all" in done.stdout


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_says_how_to_go_on_and_the_run_goes_on(jobs: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "msmtrec", "train", "synthetic", "--set", "train.rounds=400", *SMALL[2:]]
    command += ["--set", "train.checkpoint_every=1", "--set", f"jobs={jobs}", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("run/contenders/*/checkpoint/round-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the command
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; continue with the same command and --resume" in err
    assert "Traceback" not in err
    assert not (tmp_path / "run" / "results.json").exists()


def test_every_argument_has_its_help() -> None:
    """Of positional ones too: some versions of click lose it."""
    from typer.main import get_command
    from typer.testing import CliRunner

    from msmtrec.cli.main import app

    command = get_command(app)
    for name, one in command.commands.items():  # type: ignore[attr-defined]
        for more in getattr(one, "commands", {"": one}):
            found = CliRunner().invoke(app, [name, *([more] if more else []), "--help"], terminal_width=200)
            own = one.commands[more] if more else one
            for parameter in own.params:
                words = (parameter.help or "").split()
                assert len(words) > 1, (name, more, parameter.name)
                assert words[0] in found.output, (name, more, parameter.name)


def test_names_are_no_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    from msmtrec.cli.console import err, out

    out.print("app:x:feed", highlight=False)
    err.print("app:b:", highlight=False)
    printed = capsys.readouterr()
    assert (printed.out.strip(), printed.err.strip()) == ("app:x:feed", "app:b:")
