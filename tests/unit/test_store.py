"""The result store: what is whole is there, what is not whole is not."""

import errno
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow import fs

from common.errors import StartupError
from common.jobs import TableFormat
from common.results import part_file, result_file
from common.settings import Settings
from worker.remote_store import Paced, RemoteStore
from worker.store import Counted, LocalStore, Store, Tagged, describe_failure, open_store

JOB = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"
NAME = f"{JOB}/result-1.csv"
PIECE = f"{JOB}/pieces/0-1-x.piece"
OTHERS = f"{OTHER}/pieces/0-1-x.piece"
MB = 2**20

Make = Callable[[Path], Store]


def remote(folder: Path) -> RemoteStore:
    return RemoteStore(fs.LocalFileSystem(), str(folder))


@pytest.fixture(params=[LocalStore, remote])
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the store; nobody has made it yet."""
    return tmp_path / "results"


@pytest.fixture
def store(make: Make, folder: Path) -> Store:
    return make(folder)


def put(store: Store, name: str, content: bytes = b"content", *, durable: bool = False) -> None:
    with store.writing(name, durable=durable) as sink:
        sink.write(content)


def give_up(store: Store, name: str, error: BaseException) -> None:
    with store.writing(name, durable=True) as sink:
        sink.write(bytes(3 * MB))
        raise error


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("durable", [False, True])
def test_what_was_written_can_be_read(store: Store, folder: Path, durable: bool) -> None:
    put(store, NAME, b"0123456789", durable=durable)
    file = store.reading(NAME)
    assert file.seek(0, io.SEEK_END) == 10
    assert file.seek(4) == 4
    assert (file.read(3), file.tell(), file.read(100), file.read(1)) == (b"456", 7, b"789", b"")
    file.close()
    assert files(folder) == [NAME]


def test_a_file_on_this_machine_has_no_name_before_it_is_whole(folder: Path) -> None:
    store = LocalStore(folder)
    with store.writing(NAME, durable=True) as sink:
        sink.write(b"some")
        with pytest.raises(FileNotFoundError):
            store.reading(NAME)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_nothing_is_left_of_what_was_given_up(store: Store, folder: Path, error: type[BaseException]) -> None:
    put(store, PIECE)
    with pytest.raises(error):
        give_up(store, NAME, error())
    assert files(folder) == [PIECE]


def test_what_was_given_up_can_be_written_again(store: Store) -> None:
    with pytest.raises(ValueError, match="half"):
        give_up(store, NAME, ValueError("half"))
    put(store, NAME, b"all of it")
    with store.reading(NAME) as file:
        assert file.read() == b"all of it"


def test_a_full_disk_says_so_and_leaves_nothing(make: Make, folder: Path) -> None:
    """The kernel's own error: the file is made to be the device that is always full."""
    store = make(folder)
    put(store, PIECE)
    name = NAME if make is remote else f"{JOB}/.result-1.csv.{os.getpid()}"
    (folder / name).symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        put(store, NAME, bytes(3 * MB))
    assert describe_failure(caught.value) == "the result store is full"
    assert files(folder) == [PIECE]


def test_other_troubles_are_not_the_disk_being_full() -> None:
    assert describe_failure(OSError(errno.EDQUOT, "over quota")) == "the result store is full"
    assert describe_failure(OSError("AWS Error UNKNOWN (HTTP status 507)")) == "the result store is full"
    assert describe_failure(OSError(errno.EACCES, "denied")) is None
    assert describe_failure(OSError("no space left on device")) is None


def test_what_is_not_there_cannot_be_read_and_need_not_go(store: Store) -> None:
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            store.reading(NAME)
        store.keep_only(NAME)
        store.remove_folder(JOB)
        assert store.folders() == []
        put(store, f"{OTHER}/result-1.csv")
        store.remove_folder(OTHER)


def test_a_result_is_kept_without_its_pieces(store: Store, folder: Path) -> None:
    for name in (part_file(JOB, 0, 1, store.era), part_file(JOB, 1, 2, store.era), NAME):
        put(store, name)
    result = result_file(JOB, 2, TableFormat.CSV)
    put(store, result)
    put(store, OTHERS)
    store.keep_only(result)
    assert files(folder) == [result, OTHERS]
    assert not (folder / JOB / "pieces").exists()


def test_the_folders_of_jobs_are_found_and_no_others(store: Store, folder: Path) -> None:
    put(store, NAME)
    put(store, OTHERS)
    for stranger in ("lost+found", JOB.replace("-", ""), JOB.upper().replace("0", "A")):
        (folder / stranger).mkdir()
    assert sorted(store.folders()) == [JOB, OTHER]
    store.remove_folder(JOB)
    assert store.folders() == [OTHER]
    assert files(folder) == [OTHERS]


def test_stores_of_one_run_of_a_machine_are_of_one_era(make: Make, folder: Path) -> None:
    era = make(folder).era
    assert era
    assert make(folder).era == era
    assert part_file(JOB, 3, 2, era) == f"{JOB}/pieces/3-2-{era}.piece"


def test_a_sink_knows_what_went_through_it(store: Store) -> None:
    content = [b"ab", b"", bytes(3 * MB), bytearray(b"cd")]
    with store.writing(NAME, durable=True) as sink:
        tagged = Tagged(sink)
        counted = Counted(tagged)
        for some in content:
            assert counted.write(some) == len(some)
        counted.write(memoryview(bytearray(16)).cast("d"))
        etag = tagged.etag()
    with store.reading(NAME) as file:
        written = file.read()
    assert written == b"".join(content) + bytes(16)
    assert tagged.size == counted.size == len(written)
    assert etag == f'"{hashlib.sha256(written).hexdigest()[:32]}"'


class Waits(io.BytesIO):
    """Remembers how much it had when its writer waited for it."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[int] = []

    def flush(self) -> None:
        self.at.append(self.tell())


def test_who_writes_to_a_remote_store_waits_for_it_every_32_mb() -> None:
    stream = Waits()
    paced = Paced(stream)
    for _ in range(10):
        assert paced.write(bytes(10 * MB)) == 10 * MB
    assert stream.at == [40 * MB, 80 * MB]


def opened(tmp_path: Path, uri: str | None) -> Store:
    return open_store(Settings(state_dir=tmp_path, results_uri=uri))


def test_a_store_in_a_folder_is_found_by_its_uri(tmp_path: Path) -> None:
    put(opened(tmp_path, None), NAME)
    assert files(tmp_path) == [f"results/{NAME}"]
    put(opened(tmp_path, f"file://{tmp_path}/with%20space"), NAME)
    assert files(tmp_path) == [f"results/{NAME}", f"with space/{NAME}"]


@pytest.mark.parametrize(
    "uri", ["nonsense://me:secret@somewhere/x", "s3://me:secret@bucket/x?nonsense=1&region=y", "s3://me:secret@["]
)
def test_a_uri_that_names_no_store_is_refused_without_telling_its_login(tmp_path: Path, uri: str) -> None:
    with pytest.raises(StartupError) as caught:
        opened(tmp_path, uri)
    said = str(caught.value)
    assert f"KALPI_RESULTS_URI is '{uri.replace('me:secret', '***')}'" in said
    assert "s3://bucket/prefix" in said
    assert "secret" not in said


@pytest.mark.parametrize("uri", ["results", "/results", "file://", "file://results", "s3://", "://x"])
def test_what_is_no_uri_is_no_setting(uri: str) -> None:
    with pytest.raises(ValueError, match="results_uri"):
        Settings(results_uri=uri)
