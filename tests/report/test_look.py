"""The page as a browser shows it: drawn, readable in light and dark, narrow and wide, and usable from the keyboard."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from msmtrec.record.reading import read_run
from msmtrec.report.page import write_report
from report.ablated import EXPECTED, LEFT_OUT, ablated
from report.browser import Browser
from report.made import diagnostics, frame, journal

OPEN = "document.querySelectorAll('details').forEach((d) => (d.open = true))"
FIGURES = """[...document.querySelectorAll('.draw svg')].map((svg) => {
  const box = svg.getBoundingClientRect();
  return [svg.closest('figure').id, svg.querySelectorAll('path, rect, circle').length, box.width, box.height];
})"""
LABELS = """Math.min(...[...document.querySelectorAll('.draw svg')].map((svg) =>
  11 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width))"""
FAINT = """(() => {
  const parts = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const part = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const below = (element) => {
    const shade = element.matches('svg text.on') && [...element.classList].find((c) => /^(z|[pn]\\d)$/.test(c));
    if (shade) return parts(getComputedStyle(element.closest('svg').querySelector(`rect.${shade}`)).fill);
    for (let at = element; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] > 0.5) return found;
    }
    return [255, 255, 255];
  };
  const found = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || element.closest('script, style, option')) continue;
    if (!element.getClientRects().length) continue;
    seen += 1;
    const style = getComputedStyle(element);
    const [one, two] = [light(parts(element.closest('svg') ? style.fill : style.color)), light(below(element))];
    const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    if (ratio < 4.5) found.add(`${ratio.toFixed(2)} ${element.outerHTML.slice(0, 120)}`);
  }
  return [seen, [...found]];
})()"""
"""[texts seen, those with less contrast than WCAG 2 AA wants]"""
REACHABLE = """[...document.querySelectorAll('a[href], button, input, select, summary, [tabindex="0"]')].filter((e) =>
  e.getClientRects().length && !e.disabled).length"""
FOCUSED = """(() => {
  const e = document.activeElement;
  if (e === document.body) return null;
  e.dataset.number ??= String(document.querySelectorAll('[data-number]').length);
  const style = getComputedStyle(e);
  return [e.dataset.number, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2];
})()"""
CAPTURE = """URL.createObjectURL = (blob) => { blob.text().then((text) => (window.saved = text)); return 'data:,'; };
HTMLAnchorElement.prototype.click = () => {}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 scenarios, names in every script, some that would be markup or a formula, long ones."""
    place = tmp_path_factory.mktemp("odd") / "run"
    names = ["中国", "العربية", "हिन्दी", "👩‍👩‍👧 🇩🇪", "<img src=x onerror=alert(1)>", "=1+1", "without-any-break-" * 5]
    names += [f"s{n}" for n in range(33)]
    found = diagnostics(names, [90 - n for n in range(40)])
    for contender in ("local", "</script><script>oops()"):
        shown = found if contender != "local" else {}
        folder = place / "contenders" / contender
        journal(folder, names, ["click", "buy"], 3, lambda _s, _t, n, _g: 0.6 + n / 100, lambda _, f=shown: f)  # type: ignore[misc]
    frame(
        place, {n: 90 - k for k, n in enumerate(names)}, ["click", "buy"], {c: {"": {}} for c in ("local", contender)}
    )
    return write_report(place)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 768, 1280])
@pytest.mark.parametrize("which", ["small", "odd"])
def test_drawn_inside_the_page_and_readable(
    browser: Browser, folder: Path, odd: Path, which: str, width: int, dark: bool
) -> None:
    browser.show(folder / "report.html" if which == "small" else odd, width, dark=dark)
    browser.evaluate(OPEN)
    assert browser.trouble == []
    figures = browser.evaluate(FIGURES)
    assert len(figures) > 10
    assert not [figure for figure in figures if figure[1] < 2 or figure[2] < 200 or figure[3] < 30]
    assert browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert browser.evaluate(LABELS) > 9.5  # pixels
    seen, faint = browser.evaluate(FAINT)
    assert seen > 200
    assert faint == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("which", ["small", "odd"])
def test_axe_finds_nothing(browser: Browser, folder: Path, odd: Path, which: str, width: int, dark: bool) -> None:
    browser.show(folder / "report.html" if which == "small" else odd, width, dark=dark)
    browser.evaluate(OPEN)
    assert browser.violations() == []


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_an_ablation_with_figures_of_others(browser: Browser, tmp_path: Path, width: int, dark: bool) -> None:
    place = ablated(tmp_path / "run", LEFT_OUT)
    (place / "config.yaml").write_text(EXPECTED)
    browser.show(write_report(place), width, dark=dark)
    assert browser.trouble == []
    assert browser.violations() == []
    assert browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert browser.evaluate(FAINT)[1] == []
    browser.evaluate(CAPTURE)
    for key, first in (("ablation", "\n,base,,"), ("expected", "\nbase,a,click,0.69,0.7,0.01,")):
        browser.evaluate(f"document.querySelector('[data-save=\"{key}\"]').click()")
        assert first in browser.evaluate("new Promise((done) => setTimeout(() => done(window.saved), 5))")


def test_axe_finds_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<html><body><img src='data:,'><button></button></body></html>")
    browser.show(tmp_path / "bad.html")
    assert {"image-alt", "button-name", "html-has-lang"} <= {rule for rule, *_ in browser.violations()}


@pytest.mark.parametrize("width", [390, 1280])
def test_everything_is_reached_by_keyboard_and_seen_to_be(browser: Browser, folder: Path, width: int) -> None:
    browser.show(folder / "report.html", width)
    browser.evaluate(OPEN)
    count = browser.evaluate(REACHABLE)
    assert count > 50
    found = {}
    for _ in range(count + 2):
        browser.press("Tab", 9)
        if focused := browser.evaluate(FOCUSED):
            found[focused[0]] = focused[1]
    assert all(found.values())
    assert len(found) == count


def test_arrow_keys_show_values(browser: Browser, folder: Path) -> None:
    browser.show(folder / "report.html")
    tip = "document.getElementById('tip')"
    for figure, arrows, words in (
        ("curve-0", ["ArrowRight", "ArrowRight"], "round 2"),
        ("cost-seconds", ["End"], "contender"),
    ):
        browser.evaluate(f"document.querySelector('#{figure} .draw').focus()")
        for arrow in arrows:
            browser.press(arrow, {"ArrowRight": 39, "End": 35}[arrow])
        assert browser.evaluate(f"{tip}.hidden") is False
        assert words in browser.evaluate(f"{tip}.textContent")
        browser.press("Escape", 27)
        assert browser.evaluate(f"{tip}.hidden") is True


def test_a_tap_shows_values_until_the_next_tap_elsewhere(browser: Browser, folder: Path) -> None:
    browser.show(folder / "report.html", 390)
    browser.send("Emulation.setTouchEmulationEnabled", enabled=True)
    tip = "document.getElementById('tip')"
    spot = """(() => {{
      const mark = document.querySelector('{0}');
      mark.scrollIntoView({{block: 'center'}});
      const box = mark.getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    }})()"""
    try:
        for mark, words in (("#relation-3-conflict .m", "scenario-0"), ("#curve-0 svg", "round")):
            for where, hidden in ((mark, False), ("#curves", True)):
                x, y = browser.evaluate(spot.format(where))
                browser.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
                browser.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
                assert browser.evaluate(f"{tip}.hidden") is hidden, where
                if not hidden:
                    assert words in browser.evaluate(f"{tip}.textContent")
    finally:
        browser.send("Emulation.setTouchEmulationEnabled", enabled=False)


def test_every_figure_and_table_is_saved_as_csv(browser: Browser, folder: Path, odd: Path) -> None:
    browser.show(folder / "report.html")
    browser.evaluate(CAPTURE)
    results = read_run(folder).results
    keys = browser.evaluate("[...document.querySelectorAll('[data-save]')].map((b) => b.dataset.save)")
    assert {"@auc", "@gain", "curve-0", "chosen", "cost-up", "rows"} <= set(keys)
    saved = {}
    for key in dict.fromkeys(keys):
        browser.evaluate(f"window.saved = ''; document.querySelector('[data-save=\"{key}\"]').click()")
        text = browser.evaluate("new Promise((done) => setTimeout(() => done(window.saved), 5))")
        saved[key] = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
        assert len(saved[key]) > 1, key
        assert len({len(row) for row in saved[key]}) == 1, key
    assert [row[:2] for row in saved["@auc"][1:]] == [list(line) for line in results.lines]
    assert float(saved["@auc"][1][4]) == pytest.approx(results.cells["local"][0].mean, abs=1e-5)
    assert len(saved["@gain"]) == 1 + (len(results.cells) - 1) * len(results.lines)
    browser.show(odd)
    browser.evaluate(CAPTURE)
    browser.evaluate("document.querySelector('[data-save=\"@auc\"]').click()")
    assert "\n'=1+1,click" in browser.evaluate("new Promise((done) => setTimeout(() => done(window.saved), 5))")


def test_another_contender_another_order_other_lines(browser: Browser, folder: Path) -> None:
    browser.show(folder / "report.html")
    headline = "document.getElementById('headline').tBodies[0].innerText"
    before = browser.evaluate(headline)
    browser.evaluate("document.getElementById('who').dispatchEvent(new Event('change'))")
    assert browser.evaluate(headline) == before  # the script writes what the page was rendered with
    choose = "who.value = 'paper'; who.dispatchEvent(new Event('change'))"
    browser.evaluate(f"(() => {{ const who = document.getElementById('who'); {choose} }})()")
    assert browser.evaluate(headline) != before
    results = read_run(folder).results
    first = [cell.mean for cell in results.cells["paper"][:-1]]
    browser.evaluate("document.querySelector('[data-sort=auc][data-name=paper]').click()")
    column = 2 + list(results.cells).index("paper")
    cells = (
        f"[...document.querySelector('table[data-table=auc]').tBodies[0].rows].map((r) => r.cells[{column}].innerText)"
    )
    shown = [text.split()[0] for text in browser.evaluate(cells)][:-1]
    assert shown == [f"{value:.4f}" for value in sorted(first, reverse=True)]
    browser.evaluate(
        "(() => { const find = document.querySelector('[data-find=auc]'); find.value = 'SCENARIO-1';"
        " find.dispatchEvent(new Event('input')) })()"
    )
    assert len(browser.evaluate(cells)) == 2 + 1  # its two tasks, and the mean
    off = "document.querySelectorAll('.draw .off').length"
    assert browser.evaluate(off) == 0
    browser.evaluate("document.querySelector('input[data-series=s0]').click()")
    assert browser.evaluate(off) > 6


def test_paper_is_white_and_has_no_buttons(browser: Browser, folder: Path) -> None:
    browser.show(folder / "report.html", 794, dark=True, media="print")
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    buttons = (
        "[...document.querySelectorAll('nav, .save, .tools, #tip')].filter((e) => e.getClientRects().length).length"
    )
    assert browser.evaluate(buttons) == 0
    assert browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert browser.evaluate(FAINT)[1] == []


def test_without_the_script_the_page_still_says_everything(browser: Browser, folder: Path) -> None:
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.show(folder / "report.html", 390)
        assert browser.evaluate("document.querySelectorAll('.draw svg').length") > 10
        assert browser.evaluate("document.querySelector('table[data-table=auc]').tBodies[0].rows.length") == 7
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)
