"""A whole site is read as it stands; whatever is done to its files, the answer is a site or a list of problems."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_site import DEMO, SITE

from ems.config.documents import parse_document
from ems.config.errors import SiteError
from ems.config.loading import load_site
from ems.config.site import Mode, Site
from ems.config.sites import find_site

FILES = ("site.yaml", "tariff.yaml", "grid.json")


def test_the_demo_site_loads_with_its_tariff() -> None:
    site = load_site(DEMO)
    assert site.file.devices["wallbox"].mode is Mode.CONTROL
    assert site.file.devices["air_handler"].safe.keys() == {"setpoint_kw"}
    assert site.tariff.fixed_per_day > 0.0
    assert site.folder == DEMO


def test_numbers_are_what_yaml_says(yard: Path) -> None:
    site = load_site(yard)
    assert site.file.grid.import_limit_kw == 40.0
    assert site.file.assets["houses"].bus == "houses"


def test_the_hash_counts_meaning_and_not_comments(yard: Path) -> None:
    first = load_site(yard).config_hash
    (yard / "site.yaml").write_text(
        "# a comment\n" + SITE.replace("charge_kw: 22", "charge_kw: 22.0"), encoding="utf-8"
    )
    assert load_site(yard).config_hash == first
    (yard / "site.yaml").write_text(SITE.replace("charge_kw: 22", "charge_kw: 21"), encoding="utf-8")
    assert load_site(yard).config_hash != first


@pytest.mark.parametrize(("file", "old", "new"), [("tariff.yaml", "0.2", "0.21"), ("grid.json", "mv", "mw")])
def test_the_hash_counts_tariff_and_grid(yard: Path, file: str, old: str, new: str) -> None:
    first = load_site(yard).config_hash
    (yard / file).write_text((yard / file).read_text().replace(old, new))
    assert load_site(yard).config_hash != first


def test_a_site_is_found_by_path_and_by_name(yard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_site(str(yard)) == yard
    assert find_site(str(yard / "site.yaml")) == yard / "site.yaml"
    shelf = yard.parent / "sites"
    shelf.mkdir()
    yard.rename(shelf / "yard")
    monkeypatch.chdir(shelf.parent)
    assert find_site("yard") == shelf / "yard"
    (shelf.parent / "demo_feeder").mkdir()
    assert find_site("demo_feeder") == DEMO, "an empty folder of that name is no site"
    with pytest.raises(SiteError, match=r"demo_feedr:1:1  there is no such site \(did you mean `demo_feeder`"):
        find_site("demo_feedr")
    with pytest.raises(SiteError, match="no such site"):
        find_site("../nowhere/yard")


WORDS = "-5 .nan .inf 1e309 null ~ yes [] {} ' &a *a << !!set !x % --- ... | > 0x1F 1_000 12:30 2026-01-01 battery / {{"
TOKENS = st.sampled_from(
    [
        *WORDS.split(),
        "[1, 2]",
        "12 kWh",
        '"',
        "\t",
        "9" * 400,
        "\x00",
        "\u2028",
        "? ",
        "x\x00",
        "a" * 5000,
        "# ",
        ": ",
        "- ",
    ]
)


@st.composite
def mutations(draw: st.DrawFn, text: str) -> str:
    """Spoil a text in one to four places: a line away, doubled, moved, indented, or a value replaced."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["drop", "double", "swap", "indent", "value", "key", "insert", "cut"])):
            case "drop":
                lines[at] = ""
            case "double":
                lines.insert(at, lines[at])
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "indent":
                lines[at] = draw(st.sampled_from([" ", "  ", "\t", "      "])) + lines[at]
            case "value":
                lines[at] = lines[at].partition(":")[0] + ": " + draw(TOKENS)
            case "key":
                lines[at] = draw(TOKENS) + ":" + lines[at].partition(":")[2]
            case "insert":
                place = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:place] + draw(TOKENS | st.text(string.printable, max_size=3)) + lines[at][place:]
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
    return "\n".join(lines)


def site_text(name: str) -> str:
    return (DEMO.parent / name / "site.yaml").read_text(encoding="utf-8")


def answer(folder: Path) -> Site | tuple[str, ...]:
    try:
        return load_site(folder)
    except SiteError as error:
        for problem in error.problems:
            assert problem.file in FILES
            assert problem.line >= 1
            assert problem.column >= 1
            assert problem.message.strip()
            assert len(str(problem)) < 2000
        assert error.problems
        return tuple(map(str, error.problems))


@given(st.sampled_from(["demo_feeder", "demo_district"]).flatmap(lambda name: mutations(site_text(name))))
@settings(max_examples=150, deadline=None)
def test_no_mutation_of_the_site_file_gives_a_traceback(demo_copy: Path, text: str) -> None:
    (demo_copy / "site.yaml").write_text(text, encoding="utf-8")
    assert answer(demo_copy)


@given(st.sampled_from(["tariff.yaml", "grid.json"]), st.data())
@settings(max_examples=60, deadline=None)
def test_no_mutation_of_the_other_files_gives_a_traceback(demo_copy: Path, file: str, data: st.DataObject) -> None:
    for name in FILES:
        (demo_copy / name).write_bytes((DEMO / name).read_bytes())
    text = (DEMO / file).read_text(encoding="utf-8").replace('"}', '"}\n')
    (demo_copy / file).write_text(data.draw(mutations(text)), encoding="utf-8")
    assert answer(demo_copy)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_document_or_a_problem(content: bytes) -> None:
    document = parse_document(content, "site.yaml")
    assert document.root is not None or document.problems
