import math
import struct
import zlib
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from app.cli.chart import HEIGHT, LEFT, RIGHT, SCORES, VALUES, WIDTH, Box, Series, Stroke, Words, draw, marks
from app.cli.chart_png import png
from app.cli.chart_svg import svg


def series(values, alerts=()):
    n = len(values)
    return Series("t", [str(i) for i in range(n)], values, [0.0] * n, [i in alerts for i in range(n)])


def value_strokes(drawn):
    return [mark for mark in drawn if isinstance(mark, Stroke) and mark.bottom <= VALUES[1]]


def dots(picture: bytes):
    """Decode what ``png`` writes, checking every checksum: rows of (red, green, blue)."""
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    at, pieces = 8, {}
    while at < len(picture):
        (size,) = struct.unpack(">I", picture[at : at + 4])
        kind, content = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + size]
        assert struct.unpack(">I", picture[at + 8 + size : at + 12 + size]) == (zlib.crc32(kind + content),)
        pieces[kind] = content
        at += 12 + size
    width, height, *rest = struct.unpack(">IIBBBBB", pieces[b"IHDR"])
    assert rest == [8, 2, 0, 0, 0]
    flat = zlib.decompress(pieces[b"IDAT"])
    assert len(flat) == height * (1 + 3 * width)
    rows = [flat[y * (1 + 3 * width) + 1 : (y + 1) * (1 + 3 * width)] for y in range(height)]
    return [[tuple(row[3 * x : 3 * x + 3]) for x in range(width)] for row in rows]


def test_no_spike_is_lost_in_a_long_series():
    values = [0.0] * 50_000
    values[31_234] = 1.0
    strokes = value_strokes(marks(series(values)))
    assert min(stroke.top for stroke in strokes) == VALUES[0]
    assert {stroke.x for stroke in strokes} == set(range(LEFT, RIGHT))


def test_a_short_series_is_a_line_without_gaps():
    strokes = sorted(value_strokes(marks(series([0.0, 10.0, -5.0]))))
    assert [stroke.x for stroke in strokes] == list(range(LEFT, RIGHT))
    for left, right in pairwise(strokes):
        assert left.top <= right.bottom + 1e-6
        assert right.top <= left.bottom + 1e-6


def test_a_missing_value_breaks_the_line():
    strokes = value_strokes(marks(series([1.0, 2.0, math.nan, 2.0, 1.0])))
    middle = (LEFT + RIGHT) // 2
    assert not [stroke for stroke in strokes if abs(stroke.x - middle) < 50]
    assert [stroke for stroke in strokes if abs(stroke.x - middle) > 300]


def test_an_alert_is_marked_where_it_is():
    drawn = marks(series([0.0] * 101, alerts={50}))
    (mark,) = [mark for mark in drawn if isinstance(mark, Box) and mark.y < VALUES[0] and mark.width == 5]
    assert abs(mark.x + 2 - (LEFT + RIGHT) / 2) <= 1
    assert any(isinstance(mark, Words) and mark.text == "t: 101 points, 1 alert" for mark in drawn)


@pytest.mark.parametrize(
    "values", [[], [7.0], [7.0] * 5, [0.0, 0.0], [math.nan] * 3, [-1.7e308, 1.7e308, 0.0], [5e-324, 0.0]]
)
def test_whatever_the_series_everything_stays_on_the_canvas(values, tmp_path: Path):
    for mark in marks(series(values)):
        if isinstance(mark, Stroke):
            assert LEFT <= mark.x <= RIGHT
            assert VALUES[0] - 1 <= mark.top <= mark.bottom <= SCORES[1] + 1
    for name in ("a.svg", "a.png"):
        draw(tmp_path / name, series(values))
    ET.fromstring((tmp_path / "a.svg").read_text())  # noqa: S314  # our own output
    shown = dots((tmp_path / "a.png").read_bytes())
    assert (len(shown[0]), len(shown)) == (WIDTH, HEIGHT)


def test_a_picture_shows_boxes_strokes_and_words_where_they_belong():
    shown = dots(
        png(
            [Box(0, 0, 30, 20, "#ffffff"), Stroke(5, 2.0, 8.0, "#ff0000"), Words(29, 14, "1", "#0000ff", "end")], 30, 20
        )
    )
    assert {(x, y) for y, row in enumerate(shown) for x, dot in enumerate(row) if dot == (255, 0, 0)} == {
        (5, y) for y in range(2, 8)
    }
    blue = {(x, y) for y, row in enumerate(shown) for x, dot in enumerate(row) if dot == (0, 0, 255)}
    assert {x for x, _ in blue} == set(range(23, 29))
    assert {y for _, y in blue} == set(range(9, 19))


def test_marks_outside_the_canvas_are_cut_off():
    shown = dots(png([Box(-5, -5, 100, 7, "#010203"), Words(-3, 8, "long words", "#ffffff")], 10, 10))
    assert shown[0] == [(1, 2, 3)] * 10
    assert len(shown) == 10


def test_words_are_escaped_in_svg():
    drawing = ET.fromstring(svg([Words(0, 0, "<a> & \x01", "#000000")], 10, 10))  # noqa: S314  # our own output
    assert [node.text for node in drawing] == ["<a> & ?"]
