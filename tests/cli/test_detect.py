import csv
import gzip
import math
import subprocess
import sys
from pathlib import Path
from random import Random
from xml.etree import ElementTree as ET

import msgspec
import pytest
from click.testing import CliRunner

from app.cli.main import cli
from app.core.analyze.named import detector

HEADER = "timestamp,value,score,alert"


def series(n=400, outlier=300):
    random = Random(1)
    values = [random.gauss(5.0, 1.0) for _ in range(n)]
    values[outlier] = 30.0
    return [
        (f"2026-01-{1 + i // 288:02d} {i // 12 % 24:02d}:{i % 12 * 5:02d}:00", f"{x:.3f}") for i, x in enumerate(values)
    ]


def text(rows, header="timestamp,value"):
    return "".join(f"{line}\n" for line in [header, *map(",".join, rows)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "series.csv"
    path.write_text(text(series()))
    return path


def detect(*words: object, stdin: str | None = None):
    return CliRunner().invoke(cli, ["detect", *map(str, words)], input=stdin)


def rows_of(result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(result.stdout.splitlines()))


def test_every_row_comes_back_with_a_finite_score_and_the_outlier_alerts(file: Path):
    result = detect(file)
    assert result.stdout.splitlines()[0] == HEADER
    rows = rows_of(result)
    assert [(row["timestamp"], row["value"]) for row in rows] == series()
    assert all(math.isfinite(float(row["score"])) for row in rows)
    assert [i for i, row in enumerate(rows) if row["alert"] == "1"] == [300]
    assert {row["alert"] for row in rows} == {"0", "1"}
    assert result.stderr == ""


def test_what_is_printed_for_a_small_series():
    given = "".join(f"{60 * i},{x}\n" for i, x in enumerate([*([1] * 120), 9, 1]))
    assert detect("-", stdin=f"timestamp,value\n{given}").stdout.splitlines()[-4:] == [
        "7080,1,0,0",
        "7140,1,0,0",
        "7200,9,1000,1",
        "7260,1,0,0",
    ]


def test_a_point_is_scored_without_the_points_after_it(file: Path, tmp_path: Path):
    whole = detect(file).stdout.splitlines()
    short = tmp_path / "short.csv"
    short.write_text(text(series()[:310]))
    assert detect(short).stdout.splitlines() == whole[:311]


def test_standard_input_a_packed_file_and_a_file_give_the_same(file: Path):
    packed = file.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert detect("-", stdin=file.read_text()).stdout == detect(packed).stdout == detect(file).stdout


@pytest.mark.parametrize(
    "shape",
    [
        lambda rows: "\ufeff" + text(rows),
        lambda rows: text(rows).replace("\n", "\r\n"),
        lambda rows: text(rows).partition("\n")[2],
        lambda rows: text([(v, "x", t) for t, v in rows], header="Value,host,Timestamp"),
        lambda rows: text([(t.replace(" ", "T") + "Z", v) for t, v in rows]),
    ],
    ids=["byte-order mark", "CRLF", "no header", "other columns", "RFC 3339"],
)
def test_common_shapes_of_the_file_are_read(shape, file: Path, tmp_path: Path):
    other = tmp_path / "other.csv"
    other.write_bytes(shape(series()).encode())
    expected = [(row["value"], row["score"], row["alert"]) for row in rows_of(detect(file))]
    assert [(row["value"], row["score"], row["alert"]) for row in rows_of(detect(other))] == expected


def test_seconds_and_milliseconds_since_1970_are_times():
    by_second = detect("-", stdin=text([(str(1_700_000_000 + 3600 * i), v) for i, (_, v) in enumerate(series())]))
    by_milli = detect(
        "-", stdin=text([(str(1000 * (1_700_000_000 + 3600 * i)), v) for i, (_, v) in enumerate(series())])
    )
    assert [row["score"] for row in rows_of(by_second)] == [row["score"] for row in rows_of(by_milli)]


@pytest.mark.parametrize("missing", ["", "nan", "NaN", "null", "inf", "-Infinity"])
def test_a_row_without_a_number_passes_with_score_0_and_is_counted(missing: str):
    rows = series()
    given = [*rows[:200], ("2026-01-01 00:00:00", missing), *rows[200:]]
    result = detect("-", stdin=text(given))
    found = rows_of(result)
    assert len(found) == len(given)
    assert found[200] == {"timestamp": "2026-01-01 00:00:00", "value": missing, "score": "0", "alert": "0"}
    assert result.stderr == "1 of 401 rows have no finite number: passed through with score 0\n"
    assert [row["score"] for row in found[:200] + found[201:]] == [
        row["score"] for row in rows_of(detect("-", stdin=text(rows)))
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("timestamp,value\n2026-01-01,1\n2026-01-02,many\n", "standard input, line 3: 'many' is no number"),
        ("timestamp,value\n2026-01-01,1\nyesterday,2\n", "standard input, line 3: 'yesterday' is no timestamp"),
        ("timestamp,value\n2026-01-01\n", "standard input, line 2: expected timestamp,value, found '2026-01-01'"),
        ("when,what\n1,2\n", "standard input, line 1: 'when' is no timestamp"),
        ("timestamp,value\n,2\n", "standard input, line 2: '' is no timestamp"),
        ("timestamp,value\nnan,2\n", "standard input, line 2: 'nan' is no timestamp"),
        ("", "standard input is empty: it needs a line timestamp,value"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_with_its_line(given: str, said: str):
    result = detect("-", stdin=given)
    assert result.exit_code == 1
    assert said in str(result.exception)


@pytest.mark.parametrize("content", [b"timestamp,value\n\xff\xfe,1\n", b"timestamp,value\n1,2\n\x00,\x00\n"])
def test_a_file_that_is_no_text_is_a_clear_error(content: bytes, tmp_path: Path):
    path = tmp_path / "binary.csv"
    path.write_bytes(content)
    result = detect(path)
    assert result.exit_code == 1
    assert str(path) in str(result.exception)
    packed = tmp_path / "cut.csv.gz"
    packed.write_bytes(gzip.compress(b"timestamp,value\n1,2\n" * 99)[:30])
    assert "cut.csv.gz" in str(detect(packed).exception)


def test_a_header_alone_prints_a_header():
    assert detect("-", stdin="timestamp,value\n").stdout == f"{HEADER}\n"


def test_json_is_one_object_a_row(file: Path):
    lines = [msgspec.json.decode(line) for line in detect(file, "--json").stdout.splitlines()]
    assert len(lines) == 400
    assert lines[300]["alert"] is True
    assert lines[300]["value"] == 30.0
    assert lines[300]["timestamp"] == series()[300][0]
    assert lines[300]["score"] > 5
    assert msgspec.json.decode(detect("-", "--json", stdin="0,\n").stdout)["value"] is None


@pytest.mark.parametrize("name", ["own", "zscore", "iqr", "mad", "river.drift.ADWIN", "river.anomaly.GaussianScorer"])
def test_a_detector_is_chosen_by_name(name: str, file: Path):
    chosen = detector(name)
    expected = [chosen.step(300.0 * i, float(v)) for i, (_, v) in enumerate(series())]
    rows = rows_of(detect(file, "--detector", name))
    assert [row["alert"] for row in rows] == [str(int(one.alert)) for one in expected]
    assert [float(row["score"]) for row in rows] == pytest.approx([one.score for one in expected], rel=1e-5)


def test_an_unknown_detector_is_wrong_usage(file: Path):
    result = detect(file, "--detector", "prophet")
    assert result.exit_code == 2
    assert "no detector is called prophet: there are own, zscore, iqr, mad" in result.stderr


def test_a_threshold_may_be_given(file: Path):
    assert all(row["alert"] == "0" for row in rows_of(detect(file, "--threshold", "5000")))


def test_a_missing_file_is_wrong_usage(tmp_path: Path):
    result = detect(tmp_path / "none.csv")
    assert result.exit_code == 2
    assert "none.csv" in result.stderr


def test_a_plot_is_written_as_svg_or_png(file: Path, tmp_path: Path):
    svg, png = tmp_path / "plot.svg", tmp_path / "plot.PNG"
    assert detect(file, "--plot", svg).stdout == detect(file, "--plot", png).stdout == detect(file).stdout
    drawing = ET.fromstring(svg.read_text())  # noqa: S314  # our own output
    words = [node.text for node in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert "series.csv: 400 points, 1 alert" in words
    assert png.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_a_plot_of_another_kind_is_wrong_usage(file: Path, tmp_path: Path):
    result = detect(file, "--plot", tmp_path / "plot.pdf")
    assert result.exit_code == 2
    assert "must end in .svg or .png" in result.stderr
    assert result.stdout == ""


def test_a_reader_that_has_seen_enough_is_no_error(file: Path):
    file.write_text(text(series() * 50))
    command = f"import sys; from app.cli.main import main; main(['detect', {str(file)!r}])"
    with subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout
        assert started.stderr
        started.stdout.readline()
        started.stdout.close()
        assert started.stderr.read() == b""
        assert started.wait(30) == 0
