"""`kalpi data` as an operator meets it: what it accepts, what it refuses and in which words."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.dataset import ManifestFile
from common.errors import DataError
from worker.market import __main__ as command
from worker.market.store import Market

HEADER = "date,symbol,open,high,low,close,volume\n"
GOOD = "2024-01-01,A,10,11,9,10.5,100\n2024-01-02,A,10,11,9,10.5,100\n"
TOMORROW = (datetime.now(UTC).date() + timedelta(days=1)).isoformat()


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KALPI_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("KALPI_DATA_FILE", str(tmp_path / "data" / "bars.parquet"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def run(*args: object) -> int:
    """The exit code of `kalpi data ARGS`."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["kalpi data", *map(str, args)])
            command.main()
    except SystemExit as leaving:
        return int(leaving.code or 0)
    return 0


def csv(folder: Path, text: str, name: str = "in.csv") -> Path:
    """A file; a lone surrogate in the text, from U+DC80 on, stands for a byte that is not UTF-8."""
    path = folder / name
    path.write_text(text, errors="surrogateescape")
    return path


def market(state: Path) -> Market:
    return Market.open(state / "state" / "market")


REFUSED = {
    "text as a price": ("2024-01-03,A,ten,11,9,10.5,100", "open 'ten' is not a finite number"),
    "no price": ("2024-01-03,A,10,,9,10.5,100", "high is missing"),
    "NaN": ("2024-01-03,A,10,11,9,nan,100", "close is missing"),
    "infinity": ("2024-01-03,A,10,inf,9,10.5,100", "high 'inf' is not a finite number"),
    "a price of zero": ("2024-01-03,A,0,11,0,10.5,100", "open 0.0 is not above zero"),
    "a price below zero": ("2024-01-03,A,10,11,-9,10.5,100", "low -9.0 is not above zero"),
    "high below low": ("2024-01-03,A,10,9,11,10,100", "high 9.0 is below low 11.0"),
    "open outside": ("2024-01-03,A,12,11,9,10.5,100", "open 12.0 is outside low 9.0 to high 11.0"),
    "close outside": ("2024-01-03,A,10,11,9,8,100", "close 8.0 is outside low 9.0 to high 11.0"),
    "volume below zero": ("2024-01-03,A,10,11,9,10.5,-1", "volume -1.0 is negative"),
    "text as volume": ("2024-01-03,A,10,11,9,10.5,many", "volume 'many' is not a finite number"),
    "same day twice": ("2024-01-01,A,10,11,9,10.5,100", "same symbol and date as row 1"),
    "no such day": ("2024-02-31,A,10,11,9,10.5,100", "date '2024-02-31' is not a date (YYYY-MM-DD)"),
    "another way to write a day": ("03/01/2024,A,10,11,9,10.5,100", "date '03/01/2024' is not a date"),
    "only a year": ("2024,A,10,11,9,10.5,100", "date '2024' is not a date"),
    "the future": (f"{TOMORROW},A,10,11,9,10.5,100", f"date {TOMORROW} is in the future"),
    "no symbol": ("2024-01-03,,10,11,9,10.5,100", "symbol is empty"),
    "a symbol with a slash": ("2024-01-03,A/B,10,11,9,10.5,100", "symbol 'A/B' has a slash or a control character"),
    "a symbol with a control character": ("2024-01-03,A\tB,10,11,9,10.5,100", "has a slash or a control character"),
    "a symbol that is not UTF-8": ("2024-01-03,NESTL\udcc9,10,11,9,10.5,100", "symbol 'NESTL\ufffd' is not UTF-8"),
    "a date that is not UTF-8": ("2024-01-03\udca0,A,10,11,9,10.5,100", "date '2024-01-03\ufffd' is not a date"),
    "a price that is not UTF-8": ("2024-01-03,A,10\udca0,11,9,10.5,100", "open '10\ufffd' is not a finite number"),
    "a row cut short": ("2024-01-03,A,10", "has 3 columns, not 7: '2024-01-03,A,10'"),
    "a row of one column": ("2024-01-03;A;10;11;9;10.5;100", "has 1 column, not 7: '2024-01-03;A;10;11;9;10.5;100'"),
    "a row too long": ("2024-01-03,A,10,11,9,10.5,1,000", "has 8 columns, not 7: '2024-01-03,A,10,11,9,10.5,1,000'"),
    "a row cut short that is not UTF-8": ("2024-01-03,\udcc9", "has 2 columns, not 7: '2024-01-03,\ufffd'"),
    "a long row": ("x" * 300, f"has 1 column, not 7: '{'x' * 200}'…"),
    "a long symbol": (f"2024-01-03,{'A' * 33},10,11,9,10.5,100", "is longer than 32 characters"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_row_is_named_and_changes_nothing(case: str, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", csv(state, HEADER + GOOD, "before.csv")) == 0
    before = market(state).data_version
    row, reason = REFUSED[case]
    file = csv(state, HEADER + GOOD + row + "\n")
    capsys.readouterr()

    assert run("import", file) == 2
    err = capsys.readouterr().err
    assert f"{file}: row 3: " in err
    assert reason in err
    assert "1 of 3 rows cannot be used. Nothing was changed" in err
    assert market(state).data_version == before

    assert run("import", "--drop-bad", file) == 0
    assert market(state).manifest.rows == 2
    refused = pd.read_csv(state / "data" / "refused_rows.csv", dtype=str, keep_default_na=False)
    assert list(refused.columns) == [
        "date",
        "symbol",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "file",
        "row",
        "reason",
    ]
    assert refused["row"].tolist() == ["3"]
    assert reason in refused["reason"][0]


UNUSABLE = {
    "empty": ("", "the file is empty"),
    "only a header": (HEADER, "the file has no rows"),
    "a column short": (
        "date,symbol,open,high,low,close,vol\n" + GOOD,
        "'volume' is missing; is it the one called 'vol'?",
    ),
    "a column twice": ("Open," + HEADER + "1," + GOOD[:30] + "\n", "column 'open' occurs twice"),
    "a quote that stays open": (HEADER + '2024-01-03,"A,10,11,9,10.5,100\n' + GOOD, "over the end of its line"),
    "one in the last cell": (HEADER + '2024-01-03,A,10,11,9,10.5,"100\n' + GOOD, "over the end of its line"),
    "no Parquet": ("PAR1 and nothing more", "cannot be read"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_unusable_file_is_one_line(case: str, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, reason = UNUSABLE[case]
    file = csv(state, text)
    assert run("import", file) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith(f"kalpi data: {file}: ")
    assert reason in last
    assert not (state / "data").exists()


def test_a_missing_file(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", state / "nowhere.csv") == 2
    assert "nowhere.csv: no such file" in capsys.readouterr().err


def test_only_so_many_reasons_are_listed(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"2024-01-03,S{i},-1,11,9,10.5,100\n" for i in range(1000))
    assert run("import", csv(state, HEADER + rows)) == 2
    err = capsys.readouterr().err
    assert err.count(": row ") == command.SHOWN
    assert "and 980 more" in err
    assert "1,000 of 1,000 rows cannot be used" in err
    assert run("import", "--drop-bad", csv(state, HEADER + rows)) == 2
    assert not (state / "data").exists()


def test_the_same_data_in_other_clothes_is_the_same_version(state: Path) -> None:
    rows = [
        ("2024-01-01", "M&M", 10.25, 11, 9, 10.5, 100),
        ("2024-01-02", "M&M", 10, 11, 9, 10.5, 100),
        ("2024-01-02", "BAJAJ-AUTO", 10, 11, 9, 10.5, 2),
    ]
    frame = pd.DataFrame(rows, columns=["date", "symbol", "open", "high", "low", "close", "volume"])
    files = {
        "plain.csv": lambda path: frame.to_csv(path, index=False),
        "shuffled.csv": lambda path: frame[::-1][list(frame.columns[::-1])].to_csv(path, index=False),
        "upper.csv": lambda path: frame.rename(columns=str.upper).assign(X=1).to_csv(path, index=False),
        "zoned.csv": lambda path: frame.assign(date=frame["date"] + "T00:00:00+05:30").to_csv(path, index=False),
        "compact.csv": lambda path: frame.assign(date=frame["date"].str.replace("-", "")).to_csv(path, index=False),
        "packed.csv.gz": lambda path: path.write_bytes(gzip.compress(frame.to_csv(index=False).encode())),
        "text.parquet": frame.to_parquet,
        "stamps.parquet": lambda path: frame.assign(date=pd.to_datetime(frame["date"])).to_parquet(path),
        "zones.parquet": lambda path: frame.assign(
            date=pd.to_datetime(frame["date"]).dt.tz_localize("Asia/Kolkata"), symbol=frame["symbol"].astype("category")
        ).to_parquet(path),
        "decimals.parquet": lambda path: pq.write_table(
            pa.Table.from_pandas(frame).set_column(2, "open", pa.array(frame["open"]).cast(pa.decimal128(10, 2))),
            path,
        ),
    }
    versions = {}
    for name, write in files.items():
        write(state / name)
        assert run("import", state / name) == 0, name
        versions[name] = market(state).data_version
    assert len(set(versions.values())) == 1, versions


def test_bad_rows_keep_their_numbers(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that have no cells count like all others, empty lines do not, wherever the file is cut into blocks."""
    lines, bad = [], {}
    for row in range(1, 60_001):
        lines.append(f"2024-01-01,S{row},10,11,9,10.5,100")
        if row % 10_000 == 1:
            lines[-1], bad[row] = "2024-01-01,", "has 2 columns"
        elif row % 10_000 == 2:
            lines[-1], bad[row] = f"2024-01-01,S{row},10,9,11,10,100", "high 9.0 is below low 11.0"
        elif row % 10_000 == 3:
            lines[-1], bad[row] = f"2024-01-01,S{row}\udcff,10,11,9,10.5,100\n", "is not UTF-8"
    file = csv(state, HEADER + "\n".join(lines))
    assert file.stat().st_size > 2**20
    assert run("import", file) == 2
    err = capsys.readouterr().err
    assert all(f"row {row}: " in err for row in bad)
    assert "18 of 60,000 rows cannot be used" in err
    assert run("import", "--drop-bad", file) == 0
    refused = pd.read_csv(state / "data" / "refused_rows.csv", dtype=str, keep_default_na=False)
    assert refused["row"].astype(int).tolist() == list(bad)
    assert all(part in reason for part, reason in zip(bad.values(), refused["reason"], strict=True))
    assert market(state).manifest.symbols.keys() == {f"S{row}" for row in range(1, 60_001) if row not in bad}


def test_only_ragged_rows(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", "--drop-bad", csv(state, HEADER + "2024-01-01,A\n2024-01-02,A\n")) == 2
    err = capsys.readouterr().err
    assert "row 2: has 2 columns, not 7" in err
    assert "2 of 2 rows cannot be used. No row can be used" in err


def test_what_is_ignored_may_be_anything(state: Path) -> None:
    text = "".join(line + ",Nestl\udce9\n" for line in (HEADER + GOOD).splitlines())
    assert run("import", csv(state, text)) == 0
    assert market(state).manifest.rows == 2


def test_parquet_that_is_not_utf8_is_one_line(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame([("2024-01-01", "A", 10, 11, 9, 10.5, 1)], columns=HEADER.strip().split(","))
    table = pa.Table.from_pandas(frame)
    wrong = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))
    pq.write_table(table.set_column(1, "symbol", wrong), state / "in.parquet")
    assert run("import", state / "in.parquet") == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert "in.parquet: cannot be read: " in last
    assert "UTF8" in last


def test_several_files_become_one(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = csv(state, HEADER + GOOD, "one.csv")
    two = csv(state, HEADER + GOOD.replace(",A,", ",TRUE,") + GOOD.replace(",A,", ",NA,"), "two.csv")
    assert run("import", one, two) == 0
    assert list(market(state).manifest.symbols) == ["A", "NA", "TRUE"]
    assert run("import", one, one) == 2
    assert f"row 1: same symbol and date as row 1 of {one}" in capsys.readouterr().err


def test_ignored_columns_are_told(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(line + ",9" for line in (HEADER + GOOD).splitlines()).replace("volume,9", "volume,Adj Close")
    assert run("import", csv(state, text)) == 0
    assert "ignored the columns 'Adj Close'" in capsys.readouterr().out


def test_sample_import_publish_info(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sample", "--symbols", 3, "--years", 1, "--end", "2024-06-28") == 0
    first = market(state).manifest
    assert first.synthetic
    assert (len(first.symbols), first.as_of.isoformat()) == (3, "2024-06-28")
    data = state / "data" / "bars.parquet"
    content = data.read_bytes()
    assert run("sample", "--symbols", 3, "--years", 1, "--end", "2024-06-28") == 0
    assert data.read_bytes() == content

    capsys.readouterr()
    assert run("publish") == 0
    assert "already served as version" in capsys.readouterr().out

    assert run("import", csv(state, HEADER + GOOD)) == 0
    assert not market(state).manifest.synthetic
    assert run("sample") == 2
    assert "--force" in capsys.readouterr().err
    assert run("sample", "--force", "--symbols", 2, "--years", 1) == 0
    assert market(state).manifest.synthetic


def test_info(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info") == 2
    assert "no market data has been published" in capsys.readouterr().err
    assert run("import", csv(state, HEADER + GOOD)) == 0
    capsys.readouterr()
    assert run("info", "--json") == 0
    document = orjson.loads(capsys.readouterr().out)
    assert document["data_version"] == market(state).data_version
    assert {k: document[k] for k in ("symbols", "rows", "first_date", "as_of", "synthetic")} == {
        "symbols": 1, "rows": 2, "first_date": "2024-01-01", "as_of": "2024-01-02", "synthetic": False,
    }  # fmt: skip
    assert document["bytes"] > 0
    assert run("info") == 0
    assert document["data_version"] in capsys.readouterr().out


def test_publish_of_a_missing_or_wrong_file(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("publish") == 2
    assert "bars.parquet: no such file; `kalpi data sample` generates one" in capsys.readouterr().err
    (state / "data").mkdir()
    (state / "data" / "bars.parquet").write_text(HEADER + "2024-01-01,A,10,9,11,10,1\n")
    assert run("publish") == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert "1 of 1 rows cannot be used, the first is row 1: high 9.0 is below low 11.0" in last
    with pytest.raises(DataError):
        ManifestFile(state / "state" / "market").current()


def test_elsewhere_is_not_published(state: Path) -> None:
    assert run("sample", "--symbols", 2, "--years", 1, "--out", state / "other.parquet") == 0
    assert (state / "other.parquet").exists()
    assert not (state / "state").exists()


@pytest.mark.parametrize("end", ["2024-02-31", "soon", TOMORROW, "0002-01-01"])
def test_wrong_end(end: str, state: Path) -> None:
    assert run("sample", "--end", end) == 2
    assert not (state / "data").exists()


def test_wrong_setting_is_one_line(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert state
    monkeypatch.setenv("KALPI_PORT", "x")
    assert run("info") == 2
    assert capsys.readouterr().err.startswith("kalpi data: KALPI_PORT: ")
