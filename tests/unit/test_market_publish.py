"""Bars become panels: what is published is what is read, old data or new."""

import os
import shutil
import threading
import time
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from common.dataset import MANIFEST
from common.errors import DataError, NotFound
from common.query import Interval
from worker.market import sample
from worker.market.bars import FIELDS, Bars
from worker.market.layout import block_width
from worker.market.publish import publish, published_from
from worker.market.store import RESAMPLED, Market, MarketFile
from worker.market.versions import locked, prune

END = date(2024, 6, 28)
SOURCE = {"path": "/data.parquet", "size": 1, "mtime_ns": 2}


def make(symbols: int, seed: int = 1) -> Bars:
    return sample.generate(symbols, 1, END, seed)


def uneven() -> Bars:
    """Four symbols: two of one length and calendar, one as long with another calendar, one shorter."""
    days = {"A": [1, 2, 3], "M&M": [1, 2, 3], "B": [2, 3, 9], "BAJAJ-AUTO": [7]}
    names = list(days)
    codes = np.repeat(np.arange(4), [len(d) for d in days.values()])
    flat = np.array([day for d in days.values() for day in d], np.int32)
    values = np.arange(1.0, len(flat) + 1)
    return Bars.from_rows(names, codes, flat, {name: values * (i + 1) for i, name in enumerate(FIELDS)})


def test_what_is_read_is_what_was_published(tmp_path: Path) -> None:
    bars = uneven()
    publish(bars, tmp_path, SOURCE)
    market = Market.open(tmp_path)
    assert list(market.manifest.symbols) == ["A", "B", "BAJAJ-AUTO", "M&M"]
    starts = dict(zip(bars.symbols, bars.starts, strict=True))
    for symbol, info in market.manifest.symbols.items():
        place = market.place(symbol)
        rows = slice(starts[symbol], starts[symbol] + info.rows)
        np.testing.assert_array_equal(market.days(place), bars.days[rows])
        for field in FIELDS:
            panel = market.panel(place.block, field)
            assert panel.flags.c_contiguous
            assert not panel.flags.writeable
            np.testing.assert_array_equal(panel[:, place.column], bars.columns[field][rows])
    assert market.manifest.as_of == date(1970, 1, 10)
    assert market.manifest.symbols["B"].first_date == date(1970, 1, 3)


def test_blocks_are_of_one_length_and_a_bounded_width(tmp_path: Path) -> None:
    bars = make(259)
    publish(bars, tmp_path, SOURCE)
    blocks = Market.open(tmp_path).blocks
    width = block_width(bars.rows // 259)
    assert width == 128
    assert [len(block.symbols) for block in blocks] == [width, width, 3]


@pytest.mark.parametrize(("rows", "width"), [(1, 128), (756, 128), (1241, 128), (2520, 64), (100_000, 32)])
def test_longer_blocks_are_narrower(rows: int, width: int) -> None:
    assert block_width(rows) == width


def test_sources(tmp_path: Path) -> None:
    publish(make(5), tmp_path, SOURCE)
    market = Market.open(tmp_path)
    (block,) = market.blocks
    o, h, l, c = (market.panel(block, name) for name in ("open", "high", "low", "close"))  # noqa: E741
    expected = {"close": c, "hl2": (h + l) / 2, "hlc3": (h + l + c) / 3, "ohlc4": (h + l + c + o) / 4}
    for source, panel in expected.items():
        np.testing.assert_array_equal(market.source_panel(block, source), panel)
        some = market.source_panel(block, source, [3, 1])
        assert some.flags.c_contiguous
        np.testing.assert_array_equal(some, panel[:, [3, 1]])
    with pytest.raises(ValueError, match="hl3"):
        market.source_panel(block, "hl3")


def test_unknown_symbol_names_the_nearest(tmp_path: Path) -> None:
    publish(uneven(), tmp_path, SOURCE)
    with pytest.raises(NotFound) as caught:
        Market.open(tmp_path).place("BAJAJ_AUTO")
    assert caught.value.did_you_mean == ["BAJAJ-AUTO"]


def test_nothing_published(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no market data"):
        Market.open(tmp_path)


def test_version_is_of_the_content() -> None:
    bars = uneven()
    names = ["M&M", "A", "BAJAJ-AUTO", "B"]
    rows = np.random.default_rng(0).permutation(bars.rows)
    number = {name: i for i, name in enumerate(names)}
    codes = np.repeat([number[s] for s in bars.symbols], bars.counts)
    shuffled = Bars.from_rows(names, codes[rows], bars.days[rows], {n: v[rows] for n, v in bars.columns.items()})
    assert shuffled.version() == bars.version()
    for field in (*FIELDS, "days"):
        changed = {n: v.copy() for n, v in bars.columns.items()}
        days = bars.days.copy()
        if field == "days":
            days[-1] += 1
        else:
            changed[field][3] = np.nextafter(changed[field][3], 1e9)
        other = Bars.from_rows(bars.symbols, np.repeat(np.arange(4), bars.counts), days, changed)
        assert other.version() != bars.version(), field


def publish_several(folder: Path, count: int) -> list[str]:
    """Versions published an hour apart, the last one an hour ago."""
    versions = [publish(make(3, seed), folder, SOURCE).data_version for seed in range(count)]
    for hours, version in enumerate(reversed(versions), 1):
        os.utime(folder / version, (time.time() - hours * 3600,) * 2)
    return versions


def folders(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if p.is_dir()}


def test_a_new_version_replaces_and_older_ones_stay(tmp_path: Path) -> None:
    file = MarketFile(tmp_path)
    versions = []
    for seed in range(4):
        publish(make(3, seed), tmp_path, SOURCE)
        versions.append(file.current_market().data_version)
    assert len(set(versions)) == 4
    assert folders(tmp_path) == set(versions)


def test_pruning_leaves_the_current_the_one_before_and_what_is_needed(tmp_path: Path) -> None:
    versions = publish_several(tmp_path, 5)
    file = MarketFile(tmp_path)
    file.market_for(versions[0])
    assert set(prune(tmp_path, {versions[1], "of long ago"})) == {versions[0], versions[2]}
    assert folders(tmp_path) == {versions[1], versions[3], versions[4]}
    # Open ones stay readable though their folders are gone; others say so.
    assert file.market_for(versions[0]).data_version == versions[0]
    fresh = MarketFile(tmp_path)
    assert fresh.market_for(versions[1]).data_version == versions[1]
    with pytest.raises(DataError, match=versions[0]):
        fresh.market_for(versions[0])
    assert prune(tmp_path, ()) == [versions[1]]
    assert prune(tmp_path, ()) == []


def test_pruning_goes_by_the_manifest_when_an_old_version_is_published_again(tmp_path: Path) -> None:
    versions = publish_several(tmp_path, 3)
    publish(make(3, 0), tmp_path, SOURCE)
    assert prune(tmp_path, ()) == [versions[1]]
    assert Market.open(tmp_path).data_version == versions[0]
    assert folders(tmp_path) == {versions[0], versions[2]}


def test_what_was_replaced_just_now_is_not_pruned(tmp_path: Path) -> None:
    """A job that began on it may be about to be recorded."""
    versions = publish_several(tmp_path, 2)
    for seed in (2, 3):
        versions.append(publish(make(3, seed), tmp_path, SOURCE).data_version)
    assert prune(tmp_path, ()) == [versions[0]]
    assert folders(tmp_path) == set(versions[1:])


def test_nothing_is_pruned_while_something_is_published(tmp_path: Path) -> None:
    versions = publish_several(tmp_path, 3)
    (tmp_path / ".building-x").mkdir()
    with locked(tmp_path):
        assert prune(tmp_path, ()) == []
    assert folders(tmp_path) == {*versions, ".building-x"}
    assert prune(tmp_path, ()) == [versions[0]]
    assert folders(tmp_path) == set(versions[1:])


def test_there_is_nothing_to_prune_where_nothing_was_published(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    assert prune(tmp_path, ()) == []
    assert prune(tmp_path / "nowhere", ()) == []
    publish_several(tmp_path, 3)
    prune(tmp_path, ())
    assert "lost+found" in folders(tmp_path)


def test_the_same_file_is_noticed(tmp_path: Path) -> None:
    assert published_from(tmp_path, SOURCE) is None
    manifest = publish(make(3), tmp_path, SOURCE)
    found = published_from(tmp_path, SOURCE)
    assert found is not None
    assert found.data_version == manifest.data_version
    assert published_from(tmp_path, {**SOURCE, "mtime_ns": 3}) is None
    (tmp_path / manifest.data_version / "close.npy").unlink()
    assert published_from(tmp_path, SOURCE) is None


def test_damaged_panels_are_told_and_mended(tmp_path: Path) -> None:
    bars = make(3)
    manifest = publish(bars, tmp_path, SOURCE)
    torn = tmp_path / manifest.data_version / "close.npy"
    torn.write_bytes(torn.read_bytes()[:200])
    with pytest.raises(DataError, match="cannot be read"):
        Market.open(tmp_path)
    publish(bars, tmp_path, SOURCE)
    assert Market.open(tmp_path).data_version == manifest.data_version


def test_publishers_exclude_one_another_and_readers_see_whole_versions(tmp_path: Path) -> None:
    several = [make(3, seed) for seed in range(3)]
    publish(several[0], tmp_path, SOURCE)
    failures: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                market = MarketFile(tmp_path).current_market()
                assert len(market.panel(market.blocks[0], "close")) == market.blocks[0].rows
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    writers = [threading.Thread(target=publish, args=(bars, tmp_path, SOURCE)) for bars in several]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    stop.set()
    reader.join()
    assert not failures
    assert Market.open(tmp_path).data_version in {bars.version() for bars in several}
    left = {p.name for p in tmp_path.iterdir()}
    assert not [name for name in left if name.startswith((".building", f".{MANIFEST}"))]


def test_a_version_published_before_there_were_weeks_serves_them_all_the_same(tmp_path: Path) -> None:
    manifest = publish(uneven(), tmp_path, SOURCE)
    folder = tmp_path / manifest.data_version
    expected = Market.open(tmp_path)
    for interval in RESAMPLED:
        expected.at(interval)
        shutil.rmtree(folder / interval)
    older = Market.open(tmp_path)
    for interval in RESAMPLED:
        for symbol in manifest.symbols:
            ours, theirs = (market.at(interval) for market in (older, expected))
            place, other = ours.place(symbol), theirs.place(symbol)
            np.testing.assert_array_equal(ours.days(place), theirs.days(other))
            for field in FIELDS:
                column = ours.panel(place.block, field)[:, place.column]
                np.testing.assert_array_equal(column, theirs.panel(other.block, field)[:, other.column])


def test_a_version_published_before_there_were_weeks_is_published_anew(tmp_path: Path) -> None:
    manifest = publish(uneven(), tmp_path, SOURCE)
    shutil.rmtree(tmp_path / manifest.data_version / Interval.WEEK)
    assert published_from(tmp_path, SOURCE) is None
    assert publish(uneven(), tmp_path, SOURCE).data_version == manifest.data_version
    assert published_from(tmp_path, SOURCE) is not None
    assert (tmp_path / manifest.data_version / Interval.WEEK).is_dir()
