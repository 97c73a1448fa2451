"""Reports: self-contained, the numbers of the result, escaped, never overwritten by accident."""

import re
from html.parser import HTMLParser

import pytest

from bayesspec import InputError
from bayesspec.comparison.side_by_side import compare
from bayesspec.reporting import report, save_figures
from bayesspec.results.table import cells


class Page(HTMLParser):
    """Addresses and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        found = dict(attrs)
        self.addresses += [found[name] for name in ("src", "href", "action", "data") if name in found]
        self.ids += [found["id"]] if "id" in found else []

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def written(tmp_path_factory, image, seg, clusters, fit, factors):
    path = tmp_path_factory.mktemp("report") / "report.html"
    comparison = compare(image, [seg, clusters, fit, factors])
    assert report([seg, fit], path, comparison=comparison) == path
    return path.read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_elsewhere(written):
    page = Page(written)
    assert page.addresses
    inside = [a for a in page.addresses if a.startswith("#")]
    assert all(a.startswith("data:image/png;base64,") for a in page.addresses if a not in inside)
    assert {a[1:] for a in inside} <= set(page.ids)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "@import" not in written
    assert "url(" not in written
    assert len(page.ids) == len(set(page.ids))


def test_the_numbers_are_those_of_the_result(written, seg, fit):
    text = Page(written).text
    for value, interval in cells(seg.ratio("Fe_Ka", "O_Ka")):
        assert f"Fe_Ka/O_Ka = {value}, 95 % interval {interval}" in text
    for (value, _), share in zip(cells(fit.fractions), fit.fractions.mean.values, strict=True):
        assert float(value.split("(")[0]) == pytest.approx(share, rel=0.02)
    lower, upper = seg.ratio("Fe_Ka", "O_Ka").interval()
    shown = re.findall(r"95 % interval ([\d.]+) to ([\d.]+\d)", text)[:2]
    assert [float(a) for a, _ in shown] == pytest.approx(list(lower.values), abs=6e-5)
    assert [float(b) for _, b in shown] == pytest.approx(list(upper.values), abs=6e-5)
    assert "Found: 2 phases." in text
    assert "-900.0 40.0 1500.0" in text


def test_seed_versions_and_settings_are_there(written, seg):
    text = Page(written).text
    versions = seg.provenance["versions"]
    assert all(f"versions: {package} {version}" in text for package, version in versions.items())
    assert "seed 0" in text


def test_every_result_has_its_figures(written):
    ids = Page(written).ids
    for name in ("result-0-element_maps", "result-0-ratios", "result-1-spectra", "result-1-abundances"):
        assert name in ids
    assert "methods-comparison" in ids


def test_names_are_escaped(tmp_path, clusters):
    bad = "<script>alert(1)</script>"
    data = clusters.data.assign_attrs(name=bad, method=bad, verdict=bad, status=bad)
    written = report(type(clusters)(data), tmp_path / "bad.html").read_text()
    page = Page(written)
    assert "script" not in page.tags
    assert bad in page.text


def test_what_is_wrong_is_said_in_plain_sight(tmp_path, clusters, seg):
    data = seg.data.assign_attrs(
        converged=0,
        status="The step limit was reached.",
        verdict="at least two phases: the ratios of the phases cannot be resolved",
    )
    text = Page(report(type(seg)(data), tmp_path / "warned.html").read_text()).text
    before = text.split("Phases and line ratios")[0]
    assert "did not end as it should. The step limit was reached." in before
    assert "cannot be resolved at this dose" in before
    assert "do not rely on these intervals" in text
    bare = Page(report(clusters, tmp_path / "bare.html").read_text()).text
    assert "k-means, ratios gives no uncertainty" in bare


def test_nothing_is_overwritten_unless_asked(tmp_path, clusters):
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists"):
        report(clusters, path)
    assert path.read_text() == "mine"
    report(clusters, path, overwrite=True)
    assert path.read_text() != "mine"


def test_latex_tables_hold_the_numbers_and_balance(tmp_path, image, seg, fit):
    text = report([seg, fit], tmp_path / "t.tex", comparison=compare(image, [seg, fit])).read_text()
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 5
    assert all(value in text for value, _ in cells(seg.ratio("Fe_Ka", "O_Ka")))
    assert r"Fe\_Ka/O\_Ka" in text
    for table in re.findall(r"\\begin\{tabular\}\{(l+)\}(.*?)\\end", text, flags=re.S):
        rows = [line for line in table[1].splitlines() if line.strip().endswith(r"\\")]
        assert {line.replace(r"\&", "").count("&") for line in rows} == {len(table[0]) - 1}


def test_another_reference_line_turns_the_ratio_round(tmp_path, seg):
    text = Page(report(seg, tmp_path / "o.html", reference="Fe_Ka").read_text()).text
    value, _ = cells(seg.ratio("O_Ka", "Fe_Ka"))[0]
    assert f"O_Ka/Fe_Ka = {value}" in text


@pytest.mark.parametrize(("name", "found"), [("report.doc", "report.doc"), ("report", "'report'")])
def test_other_endings_are_refused(tmp_path, clusters, name, found):
    with pytest.raises(InputError, match=found):
        report(clusters, tmp_path / name)


def test_nothing_to_report_is_refused(tmp_path):
    with pytest.raises(InputError, match="no results"):
        report([], tmp_path / "report.html")
    with pytest.raises(InputError, match="int"):
        report([3], tmp_path / "report.html")


def test_figures_become_files_of_their_own(tmp_path, seg, fit):
    paths = save_figures([seg, fit], tmp_path / "figures")
    assert {path.name for path in paths} >= {"phases.pdf", "ratios.pdf", "spectra.pdf", "phase_selection.pdf"}
    assert all(path.read_bytes().startswith(b"%PDF") for path in paths)
    with pytest.raises(InputError, match="exists"):
        save_figures([seg], tmp_path / "figures")
