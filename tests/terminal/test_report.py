"""Tests of the evaluation page: its figures are correct, and it loads no external content."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keylike.images.photo import open_photo
from keylike.keys.keyways import keyway
from keylike.readers.contract import (
    Candidate,
    Cut,
    CutLine,
    Drawing,
    Quality,
    ReaderInfo,
    Reading,
    Reason,
    Unreadable,
)
from keylike.readers.evaluation import Report, Shot, Verdict, coverage_curve, errors
from keylike.terminal.report import render, write_page
from keylike.terminal.report.charts import coverage_chart, error_charts
from keylike.terminal.report.failure_gallery import MOST_BYTES, SIZE, picture

INFO = ReaderInfo("scripted", "3.1.0", "fake", ("SC1",), "a" * 64)
NOON = 1_800_000_000.0  # 2027-01-15
TRUE = (2, 5, 4, 7, 3)
REFUSED = Unreadable(Reason.TOO_BLURRED, "The blade's edges are blurred.", "Hold still.")
DRAWING = Drawing(
    ((100.0, 300.0), (100.0, 100.0), (160.0, 100.0), (160.0, 300.0)),
    tuple(CutLine(n, (100.0, 100.0 + 30 * n), (150.0, 100.0 + 30 * n)) for n in range(1, 6)),
    (640, 480),
)


class Tags(HTMLParser):
    """A parser of HTML that collects all tags with their attributes, and all texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Collect a text without surrounding white space."""
        if data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        """Return all texts, separated by single spaces."""
        return " ".join(self.texts)


def reading(
    codes: tuple[int, ...] = TRUE,
    confidence: float = 0.9,
    *,
    name: str = "SC1",
    drawing: Drawing | None = None,
) -> Reading:
    """Return a reading whose cuts have exactly the maker's heights."""
    heights = keyway(name).depths_mm
    cuts = tuple(
        Cut(position, code, confidence, heights[code]) for position, code in enumerate(codes, 1)
    )
    return Reading(
        name, codes, confidence, True, cuts, (Candidate(codes, confidence),), Quality(), drawing
    )


def photo(folder: Path, name: str = "key.png", *, noise: bool = False) -> Path:
    """Write a grey picture, or one of noise, which compresses badly, and return its path."""
    path = folder / name
    pixels = (
        np.random.default_rng(1).integers(0, 256, (960, 1280, 3), dtype=np.uint8)
        if noise
        else np.full((400, 300, 3), 128, np.uint8)
    )
    Image.fromarray(pixels).save(path)
    return path


def report(path: Path, results: Sequence[Reading | Unreadable], tier: str = "easy") -> Report:
    """Return a report with each result for a photo of an SC1 with the code TRUE."""
    return Report(
        ("SC1",),
        [
            Verdict(Shot(path, "SC1", TRUE, tier), result, 10.0 + n)
            for n, result in enumerate(results)
        ],
    )


def page_of(evaluation: Report, info: ReaderInfo = INFO) -> Tags:
    """Return the parsed evaluation page of a report."""
    return Tags(render(evaluation, info, [Path("/home/somebody/mine")], NOON))


def figure(tags: Tags, name: str) -> list[str]:
    """Return the two texts of a key figure on the page: its value and the note below it."""
    at = tags.texts.index(name)
    return tags.texts[at + 1 : at + 3]


def test_figures_on_the_page_match_the_verdicts(tmp_path: Path) -> None:
    off = (2, 5, 4, 6, 3)
    evaluation = report(photo(tmp_path), [reading()] * 6 + [reading(off, 0.5)] * 2 + [REFUSED] * 2)
    for result in (REFUSED, reading(off, 0.7)):
        evaluation.add(Verdict(Shot(photo(tmp_path), "other:Best", None, "normal"), result, 30.0))
    tags = page_of(evaluation)
    assert figure(tags, "Whole code correct") == [
        "60.0 %",
        "31 to 83 · of 10 photos of readable keys",
    ]
    assert figure(tags, "Correct among the surest 80 %") == [
        "75.0 %",
        "41 to 93 · confidence from 50 %",
    ]
    assert figure(tags, "Each cut correct")[0] == "76.0 %"
    assert figure(tags, "Keyway correct")[0] == "80.0 %"
    # Six of eight readings are right with confidence 0.9, two are wrong with confidence 0.5. So the
    # mean difference is (6 * 0.1 + 2 * 0.5) / 8.
    assert figure(tags, "Calibration error")[0] == "0.200"
    assert figure(tags, "Milliseconds per photo") == ["16", "median; 95 % within 30"]
    assert "12 photos in mine · 2027-01-15" in tags.text
    assert "too blurred 2 20.0 %" in tags.text
    assert "Best 2 1 SC1: 1" in tags.text
    assert "true other:Best no code to read read SC1 2 5 4 6 3 70 %" in tags.text
    assert "true SC1 2 5 4 7 3 read SC1 2 5 4 6 3 50 %" in tags.text
    assert "/home/somebody" not in tags.text


def test_page_begins_with_a_warning_about_codes_and_photos(tmp_path: Path) -> None:
    text = page_of(report(photo(tmp_path), [reading()])).text
    assert text.index("This page holds key codes and photos.") < text.index("Whole code correct")


def test_page_escapes_names_from_labels_and_manifests(tmp_path: Path) -> None:
    hostile = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    evaluation = report(
        photo(tmp_path, "a&b<i>'\" {{7*7}}.png"), [reading((1, 1, 1, 1, 1))], tier=hostile
    )
    refusal = Unreadable(Reason.GLARE, hostile, "")
    evaluation.add(
        Verdict(
            Shot(evaluation.verdicts[0].shot.path, f"other:{hostile}", None, hostile),
            reading(),
            1.0,
        )
    )
    evaluation.add(Verdict(evaluation.verdicts[0].shot, refusal, 1.0))
    evaluation.add(
        Verdict(replace(evaluation.verdicts[0].shot, keyway=hostile), reading(name="KW1"), 1.0)
    )
    evaluation.keyways = ("SC1", hostile)
    info = ReaderInfo(hostile, hostile, hostile, (hostile,), hostile)
    tags = Tags(render(evaluation, info, [tmp_path / hostile.replace("/", "_")], NOON))
    assert {tag for tag, _ in tags.tags} & {
        "script",
        "iframe",
        "object",
        "i",
        "link",
        "base",
        "form",
    } == set()
    assert not [
        name
        for _, attributes in tags.tags
        for name in attributes
        if name.startswith("on") or name == "style"
    ]
    assert {(attributes["src"] or "")[:23] for tag, attributes in tags.tags if tag == "img"} == {
        "data:image/jpeg;base64,"
    }
    assert "a&b<i>'\" {{7*7}}.png" in tags.text
    assert hostile in tags.texts


def test_page_loads_no_files_and_its_security_policy_forbids_them(tmp_path: Path) -> None:
    page = render(
        report(photo(tmp_path), [reading(), reading((1, 1, 1, 1, 1)), REFUSED]),
        INFO,
        [tmp_path],
        NOON,
    )
    assert "://" not in page and "url(" not in page and "@import" not in page
    policy = next(
        a["content"] or ""
        for tag, a in Tags(page).tags
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert (
        "style-src "
        f"'sha256-{base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()}'"
    ) in policy
    assert "default-src 'none'" in policy and "script" not in policy and "unsafe" not in policy


def test_size_of_the_page_is_limited_for_many_large_photos(tmp_path: Path) -> None:
    path = photo(tmp_path, noise=True)
    evaluation = report(
        path, [reading((1, 1, 1, 1, n % 10), drawing=DRAWING) for n in range(60)] + [REFUSED] * 60
    )
    for number in range(200):
        evaluation.add(Verdict(Shot(path, f"other:family {number}", None, "easy"), REFUSED, 1.0))
    target = tmp_path / "page.html"
    write_page(target, evaluation, INFO, [tmp_path], NOON)
    pictures = [a["src"] or "" for tag, a in Tags(target.read_text()).tags if tag == "img"]
    assert len(pictures) == 24
    for source in pictures:
        data = base64.b64decode(source.partition(",")[2])
        assert len(data) <= MOST_BYTES
        assert max(Image.open(io.BytesIO(data)).size) <= 480
    assert target.stat().st_size < 600_000


@pytest.mark.parametrize(
    ("results", "keyways", "expected"),
    [
        ([REFUSED] * 3, ("SC1",), "only 0.0 % received a code"),
        ([reading()], ("SC1",), "100.0 %"),
        ([reading()], ("KW1",), "All of these should be refused"),
        ([reading((1, 1, 1, 1, 1), 0.0)], ("SC1",), "0.0 %"),
        ([reading(confidence=1.0)] * 7, ("SC1",), "100.0 %"),
        ([], ("SC1",), "does not show how it treats others"),
    ],
    ids=["all refused", "one photo", "none readable", "one wrong", "all sure", "no photo"],
)
def test_page_can_show_every_kind_of_evaluation(
    tmp_path: Path, results: list[Reading | Unreadable], keyways: tuple[str, ...], expected: str
) -> None:
    run = report(photo(tmp_path), results)
    run.keyways = keyways
    assert expected in page_of(run).text


def test_page_is_written_if_a_file_name_is_not_utf8(tmp_path: Path) -> None:
    path = photo(tmp_path)
    extreme = path.rename(path.with_name("caf\udce9.png"))
    write_page(tmp_path / "page.html", report(extreme, [REFUSED]), INFO, [tmp_path], NOON)
    assert "caf?.png" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_picture_of_a_key_is_rotated_so_that_its_tip_points_right(tmp_path: Path) -> None:
    """Mark the bow of the key red and its tip blue.

    In the photo the bow is above the tip. After the rotation it must be on the left.
    """
    pixels = np.full((400, 300, 3), 128, np.uint8)
    pixels[:130, 100:160], pixels[250:, 100:160] = (255, 0, 0), (0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "key.png")
    opened = open_photo((tmp_path / "key.png").read_bytes())
    small = picture(opened, reading(drawing=DRAWING))
    assert small.size == SIZE
    red, _, blue = (np.asarray(small, int)[..., channel] for channel in range(3))
    reds, blues = np.argwhere(red - blue > 150), np.argwhere(blue - red > 150)
    assert len(reds) and len(blues)
    assert reds[:, 1].mean() < SIZE[0] * 0.35 and blues[:, 1].mean() > SIZE[0] * 0.65
    assert picture(opened, None).size == (210, 280)


def test_charts_stay_within_their_frames() -> None:
    curve = coverage_curve([(n / 500, n % 3 > 0) for n in range(500)], 600)
    chart = coverage_chart(curve, 0.8)
    points = [
        tuple(map(float, pair.split(","))) for pair in (chart.line + " " + chart.band).split()
    ]
    assert all(46 <= x <= 380 and 14 <= y <= 246 for x, y in points)
    assert len(chart.line.split()) <= 170
    assert chart.mark is not None and chart.mark[0] == pytest.approx(46 + 0.8 * 334, abs=1)
    extreme = reading((9, 0, 9, 0, 9))
    (wild,) = error_charts(
        errors([Verdict(Shot(Path("x"), "SC1", (0, 9, 0, 9, 0), "easy"), extreme, 1.0)])
    )
    assert all(12 <= y <= 172 for _, *ys in wild.cuts for y in ys)
