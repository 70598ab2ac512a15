"""Zips from anywhere: read whole or refused with a line, with no more memory than a correction needs."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile

import pytest
from handedin import MAP, export, photo, zipped
from hypothesis import given
from hypothesis import strategies as st

from glasseg.labels import correction_files
from glasseg.labels.correction_files import File

NAMES = {"AB 12_mask.png": b"mask", "corrections.json": b"{}"}
GOOD = zipped({**export(photo("a.jpg")), "ß/AB 12_mask.png": MAP}, zipfile.ZIP_DEFLATED)


def read(data: bytes) -> dict[str, bytes]:
    return {file.name: file.read() for file in correction_files.zipped(data)}


def declared(data: bytes, size: int) -> bytes:
    """A zip of one entry that declares another size for what it inflates to, in both places."""
    changed = bytearray(data)
    struct.pack_into("<I", changed, data.index(b"PK\3\4") + 22, size)
    struct.pack_into("<I", changed, data.index(b"PK\1\2") + 24, size)
    return bytes(changed)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_gives_its_files(compression: int) -> None:
    assert read(zipped(NAMES, compression)) == NAMES


def test_names_are_read_as_the_systems_write_them() -> None:
    for written, flags, name in [
        ("Größe ß/ü.png".encode("cp437"), 0, "Größe ß/ü.png"),  # Windows
        ("👓 é/ü.png".encode(), 0, "👓 é/ü.png"),  # macOS
        ("👓 é/ü.png".encode(), 0x800, "👓 é/ü.png"),
        (b"sub\\AB 12.png", 0, "sub/AB 12.png"),  # old programs of Windows
    ]:
        data = zipped({"x" * len(written): b"mask"}).replace(b"x" * len(written), written)
        changed = bytearray(data)
        struct.pack_into("<H", changed, data.index(b"PK\3\4") + 6, flags)
        struct.pack_into("<H", changed, data.index(b"PK\1\2") + 8, flags)
        assert list(read(bytes(changed))) == [name]


def test_what_systems_put_into_zips_is_not_there() -> None:
    names = ["__MACOSX/._a.png", "._a.png", ".DS_Store", "sub/.DS_Store", "Thumbs.db", "_glasseg/masks/a.png", "sub/"]
    assert not {*read(zipped(dict.fromkeys(names, b"1")))} & {
        "__MACOSX/._a.png",
        "._a.png",
        "_glasseg/masks/a.png",
        "sub/",
    }


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip", MAP, zipped(NAMES)[:-5], b"PK\3\4" + b"\0" * 99])
def test_what_is_no_zip_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a zip, or its end is missing"):
        read(data)


def test_a_zip_with_one_wrong_bit_is_not_used_in_part() -> None:
    data = zipped({"one.png": b"good" * 9, "two.png": b"wrong" * 9})
    with pytest.raises(ValueError, match="the zip is damaged"):
        read(data.replace(b"wrong", b"wrung", 1))


def test_an_encrypted_zip_is_refused() -> None:
    data = bytearray(zipped({"a.png": b"mask"}))
    data[data.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(ValueError, match="encrypted: make it without a password"):
        read(bytes(data))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_inflate_without_bound_are_refused(compression: int) -> None:
    with pytest.raises(ValueError, match="compressed in a rare way"):
        read(zipped({"a.png": b"mask"}, compression))


def test_two_files_of_one_name_are_refused() -> None:
    data = zipped({"a.png": b"one", "b.png": b"two"}).replace(b"b.png", b"a.png")
    with pytest.raises(ValueError, match="two files of one name"):
        read(data)


def test_a_bomb_is_not_inflated() -> None:
    bomb = zipped({"a_mask.png": bytes(correction_files.MOST_BYTES + 1)}, zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    try:
        [honest] = correction_files.zipped(bomb)
        with pytest.raises(ValueError, match="larger than 64 MB"):
            honest.read()
        with pytest.raises(ValueError, match="damaged"):
            correction_files.zipped(declared(bomb, 100))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_many_files_are_refused_before_their_directory_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction_files, "MOST_ENTRIES", 10)
    assert len(read(zipped({f"{number}.txt": b"" for number in range(10)}))) == 10
    with pytest.raises(ValueError, match="more than 10 files"):
        read(zipped({f"{number}.txt": b"" for number in range(11)}))


def test_all_files_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction_files, "MOST_TOTAL", 1 << 30)
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(17):
            archive.writestr(f"{number}.png", bytes(correction_files.MOST_BYTES if number == 0 else 1))
    data = many.getvalue()
    for number in range(1, 17):  # each declares as much as one may have
        place = data.index(f"{number}.png".encode(), data.index(b"PK\1\2")) - 46
        data = data[: place + 24] + struct.pack("<I", correction_files.MOST_BYTES) + data[place + 28 :]
    with pytest.raises(ValueError, match="more than 1 GB: hand it in in parts"):
        read(data)


def test_a_file_that_is_larger_than_it_was_listed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correction_files, "MOST_BYTES", 10)
    assert File("a.png", -1, None, lambda: b"x" * 10).read() == b"x" * 10
    with pytest.raises(ValueError, match="larger than"):
        File("a.png", -1, None, lambda: b"x" * 11).read()


def test_impossible_times_are_none() -> None:
    data = bytearray(zipped({"a.png": b"mask"}))
    struct.pack_into("<HH", data, data.index(b"PK\1\2") + 12, 0xFFFF, 0xFFFF)
    [file] = correction_files.zipped(bytes(data))
    assert file.modified is None


@given(
    st.lists(
        st.tuples(st.integers(0, len(GOOD) - 1), st.binary(max_size=6), st.integers(0, 40)), min_size=1, max_size=4
    )
)
def test_any_damage_to_a_zip_is_refused_or_harmless(damages: list[tuple[int, bytes, int]]) -> None:
    data = GOOD
    for place, new, length in damages:
        data = data[:place] + new + data[place + length :]
    try:
        correction_files.zipped(data)
    except ValueError as error:
        assert str(error).isprintable()


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    for one in (data, b"PK\3\4" + data, GOOD[:-60] + data + GOOD[-60:]):
        try:
            correction_files.zipped(one)
        except ValueError as error:
            assert str(error).isprintable()
