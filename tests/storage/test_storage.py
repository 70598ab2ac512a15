"""What users rely on when photos are listed, read and written, on a folder and on a real S3 server alike."""

from __future__ import annotations

import errno
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from s3server import S3Server, free_ports

from glasseg.errors import GlassegError, PhotoError
from glasseg.storage.roots import (
    TMP_PREFIX,
    Bucket,
    Folder,
    Root,
    check_writable,
    delete_if_allowed,
    open_root,
    open_source,
    refuse_nested,
    sweep,
    tidy,
    unsafe_reason,
)

not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")

NAMES = [
    "plain.jpg",
    "with space.jpg",
    "a+b & c=d?e%20f#g.png",
    'it\'s "quoted"; $HOME `x`.jpg',
    ".hidden.jpg",
    "..two dots.jpg",
    "deep/er/and deeper/x.webp",
    unicodedata.normalize("NFC", "brille/é-ü.jpg"),
    unicodedata.normalize("NFD", "brille/é-ü.jpg"),
    "眼鏡/メガネ 👓.jpg",
    "x" * 251 + ".jpg",
]


def keys(root: Root, prefix: str = "") -> list[str]:
    return sorted(entry.key for entry in root.list(prefix))


def one_line(error: pytest.ExceptionInfo[GlassegError]) -> str:
    """The message of the error, once it is sure that it is one line that holds no secret."""
    message = str(error.value)
    assert "\n" not in message
    assert "secret" not in message.replace("secret key", "")
    return message


# ---------------------------------------------------------------------------------------------------- both roots


def test_a_photo_comes_back_as_it_was_written(root_uri: str) -> None:
    root = open_root(root_uri)
    for data in (b"", b"\x00\xff" * 1000, os.urandom(300_000)):
        root.write("a/b.jpg", data)
        assert root.read("a/b.jpg")[0] == data


def test_write_keeps_names_with_spaces_and_unicode(root_uri: str) -> None:
    root = open_root(root_uri)
    for name in NAMES:
        root.write(name, name.encode())
    assert keys(root) == sorted(NAMES)
    assert all(root.read(name)[0] == name.encode() for name in NAMES)


def test_photos_go_to_s3_and_back_unchanged(s3: S3Server, tmp_path: Path) -> None:
    there = open_root(f"s3://{s3.second_bucket}/{uuid.uuid4().hex}")
    here, back = open_root(str(tmp_path / "here")), open_root(str(tmp_path / "back"))
    for name in NAMES:
        here.write(name, name.encode())
    for source, destination in ((here, there), (there, back)):
        for entry in source.list():
            destination.write(entry.key, source.read(entry.key)[0])
    assert [(one.key, one.size) for one in here.list()] == [(one.key, one.size) for one in back.list()]


def test_listing_and_reading_agree_on_the_etag(root_uri: str) -> None:
    root = open_root(root_uri)
    root.write("x.jpg", b"one")
    [entry] = root.list()
    assert (entry.size, entry.etag) == (3, root.read("x.jpg")[1])
    assert '"' not in entry.etag
    root.write("x.jpg", b"other")
    assert root.read("x.jpg")[1] != entry.etag


def test_listing_by_prefix(root_uri: str) -> None:
    root = open_root(root_uri)
    for name in ("_glasseg/manifest/r1/a", "_glasseg/manifest/r2/b", "_glasseg/manifest-old/c", "x.jpg", "xy.jpg"):
        root.write(name, b"-")
    assert keys(root, "_glasseg/manifest/") == ["_glasseg/manifest/r1/a", "_glasseg/manifest/r2/b"]
    assert keys(root, "_glasseg/manifest/r2/") == ["_glasseg/manifest/r2/b"]
    assert keys(root, "x") == ["x.jpg", "xy.jpg"]
    assert keys(root, "nothing/here/") == []


def test_a_root_that_is_not_there_yet_lists_nothing(root_uri: str) -> None:
    assert keys(open_root(f"{root_uri}/later")) == []


def test_more_photos_than_one_page_of_a_listing(root_uri: str) -> None:
    root = open_root(root_uri)
    names = [f"{number % 7}/{number:04}.jpg" for number in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: root.write(name, b"x"), names))
    assert keys(root) == sorted(names)


def test_a_neighbour_with_a_longer_name_stays_out_of_the_listing(root_uri: str) -> None:
    open_root(f"{root_uri}/a").write("in.jpg", b"-")
    open_root(f"{root_uri}/a-white").write("out.jpg", b"-")
    assert keys(open_root(f"{root_uri}/a")) == ["in.jpg"]


def test_a_vanished_photo_is_a_row(root_uri: str) -> None:
    root = open_root(root_uri)
    root.write("x.jpg", b"-")
    for missing in ("gone.jpg", "no/such/folder.jpg"):
        with pytest.raises(PhotoError) as error:
            root.read(missing)
        assert error.value.code == "vanished"


def test_exists_and_delete(root_uri: str) -> None:
    root = open_root(root_uri)
    assert not root.exists("a/x.jpg")
    root.write("a/x.jpg", b"-")
    assert root.exists("a/x.jpg")
    assert not root.exists("a")  # a folder is not an output
    root.delete("a/x.jpg")
    root.delete("a/x.jpg")
    root.delete("never/was.jpg")
    assert not root.exists("a/x.jpg")


@pytest.mark.parametrize("key", ["/etc/x", "../x.jpg", "a/../../x.jpg", "a//b", "./x", "a\\b", "nul\0.jpg", "", "a/"])
def test_a_name_that_leaves_the_root_is_not_written(root_uri: str, key: str) -> None:
    root = open_root(root_uri)
    with pytest.raises(PhotoError) as error:
        root.write(key, b"-")
    assert error.value.code == "unsafe_name"
    assert keys(root) == []


def test_a_name_that_is_too_long_is_a_row(root_uri: str) -> None:
    for key in ("x" * 256, "é" * 128, "/".join(["k" * 200] * 30)):
        with pytest.raises(PhotoError) as error:
            open_root(root_uri).write(key, b"-")
        assert error.value.code == "too_long_name"


def test_roots_travel_to_other_processes(root_uri: str) -> None:
    root = open_root(root_uri)
    root.write("x.jpg", b"here")  # the client exists by now
    again = pickle.loads(pickle.dumps(root))
    assert (again, again.uri, again.read("x.jpg")[0]) == (root, root.uri, b"here")


def test_threads_share_a_root(root_uri: str) -> None:
    root = open_root(root_uri)
    names = [f"{number}.jpg" for number in range(40)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: root.write(name, name.encode()), names))
        assert [data for data, _ in pool.map(root.read, names)] == [name.encode() for name in names]


def test_writers_of_one_name_leave_one_whole_photo(root_uri: str) -> None:
    root = open_root(root_uri)
    versions = [bytes([number]) * 50_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda data: root.write("same.jpg", data), versions))
    assert root.read("same.jpg")[0] in versions
    assert keys(root) == ["same.jpg"]


def test_uris_name_what_was_given(root_uri: str) -> None:
    root = open_root(f"{root_uri}/")
    assert root.uri == root_uri
    assert root.uri_of("a/b c.jpg") == f"{root_uri}/a/b c.jpg"


def test_source_may_be_one_photo(root_uri: str) -> None:
    open_root(root_uri).write("in/x y.jpg", b"photo")
    open_root(root_uri).write("in/other.jpg", b"-")
    root, names = open_source(f"{root_uri}/in/x y.jpg")
    assert (root.uri, names) == (f"{root_uri}/in", ["x y.jpg"])
    assert root.read("x y.jpg")[0] == b"photo"


def test_source_may_be_a_folder(root_uri: str) -> None:
    open_root(root_uri).write("in/x.jpg", b"photo")
    for uri in (root_uri, f"{root_uri}/in", f"{root_uri}/in/"):
        root, names = open_source(uri)
        assert names is None
        assert root == open_root(uri)


def test_check_writable_leaves_nothing_behind(root_uri: str) -> None:
    root = open_root(f"{root_uri}/new/place")
    check_writable(root)
    assert keys(root) == []


def test_nested_destinations_are_refused(root_uri: str) -> None:
    for source, destination in [("a", "a"), ("a", "a/out"), ("a/in", "a"), ("a", "a/"), ("a/b/c", "")]:
        with pytest.raises(GlassegError, match="inside it or around it"):
            refuse_nested(f"{root_uri}/{source}", f"{root_uri}/{destination}")
    for source, destination in [("a", "a-white"), ("a-white", "a"), ("a/in", "a/out"), ("a", "A2")]:
        refuse_nested(f"{root_uri}/{source}", f"{root_uri}/{destination}")


def test_one_photo_may_go_next_to_itself_but_not_over_itself(root_uri: str) -> None:
    open_root(root_uri).write("a/x.jpg", b"-")
    refuse_nested(f"{root_uri}/a/x.jpg", f"{root_uri}/a/out")
    for destination in (f"{root_uri}/a", f"{root_uri}/a/x.jpg", root_uri):
        with pytest.raises(GlassegError):
            refuse_nested(f"{root_uri}/a/x.jpg", destination)


# ---------------------------------------------------------------------------------------------------- names


@given(st.text(max_size=40) | st.from_regex(r"[./\\a\x00 é-]{0,12}", fullmatch=True))
def test_no_safe_name_is_ever_outside_its_root(key: str) -> None:
    root = Path("/some/root")
    if unsafe_reason(key) is None:
        path = os.path.normpath(root / key)
        assert path == f"/some/root/{key}"  # below the root, and no other key means the same file
        assert all(len(os.fsencode(part)) <= 255 for part in Path(path).parts)
        path.encode("utf-8")


@given(st.lists(st.from_regex(r"[\w +%#.,()é-]{1,20}[\w]", fullmatch=True), min_size=1, max_size=4))
def test_names_that_people_give_are_safe(parts: list[str]) -> None:
    assert unsafe_reason("/".join(parts)) is None


def test_unsafe_names_are_refused_with_a_reason() -> None:
    for key, reason in {
        "/x": "root",
        "a//b": "empty",
        "a/./b": '".."',
        "..": '".."',
        "a\\b": "backslash",
        "a\nb": "control",
        "a\x7fb": "control",
        "é" * 128: "too long",
        "\udcff.jpg": "unicode",
    }.items():
        assert reason in (unsafe_reason(key) or "")
    assert unsafe_reason("é" * 127) is None


def test_uris_that_are_no_place_are_wrong_usage() -> None:
    for uri in ("", "s3://", "s3:///x", "s3://a bucket/x", "gs://bucket/x", "http://x/y", "s3://b/a/../c"):
        with pytest.raises(GlassegError) as error:
            open_root(uri)
        assert error.value.exit_code == 2


def test_folders_are_found_however_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    expected = Folder(tmp_path.resolve() / "in")
    for uri in ("in", "./in/", "~/in", f"{tmp_path}/x/../in", f"file://{tmp_path}/in"):
        assert open_root(uri) == expected


# ---------------------------------------------------------------------------------------------------- folders


def leftovers(root: Folder) -> list[str]:
    return keys(root, TMP_PREFIX)


def test_write_leaves_nothing_behind_on_failure(tmp_path: Path) -> None:
    root = Folder(tmp_path)
    root.write("file.jpg", b"-")
    root.write("folder/x.jpg", b"-")
    for key, code, words in [
        ("file.jpg/below.jpg", "write_error", "a file is where a folder must be"),
        ("file.jpg/deep/below.jpg", "write_error", "a file is where a folder must be"),
        ("folder", "write_error", "a folder has this name"),
        ("/".join(["k" * 200] * 30), "too_long_name", "too long"),
    ]:
        with pytest.raises(PhotoError, match=words) as error:
            root.write(key, b"data")
        assert error.value.code == code
    assert leftovers(root) == []
    assert root.read("file.jpg")[0] == b"-"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EILSEQ])
def test_a_name_that_a_disk_refuses_is_said_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PhotoError, match=r"a\?.jpg: its disk takes no such name: rename the photo") as error:
        Folder(tmp_path).write("a?.jpg", b"-")
    assert error.value.code == "unsafe_name"


def test_an_interrupted_write_leaves_the_old_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Folder(tmp_path)
    root.write("x.jpg", b"old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        root.write("x.jpg", b"new")
    assert (root.read("x.jpg")[0], leftovers(root)) == (b"old", [])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root and the right to mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stops_the_run_and_leaves_no_half_photo(small_disk: Path) -> None:
    root = Folder(small_disk)
    check_writable(root)
    root.write("fits.jpg", b"x" * 10_000)
    with pytest.raises(GlassegError, match="disk is full") as error:
        root.write("too big.jpg", b"x" * 100_000)
    assert str(small_disk) in one_line(error)
    assert keys(root) == ["fits.jpg"]


def test_a_read_only_disk_is_refused_before_any_work(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(GlassegError, match="read-only") as refused:
        check_writable(Folder(small_disk))
    assert str(refused.value).startswith(f"can't write to {small_disk}: "), "not the name of a file that nobody knows"


@not_as_root
def test_folders_without_permission(tmp_path: Path) -> None:
    root = Folder(tmp_path)
    root.write("shut/x.jpg", b"-")
    root.write("y.jpg", b"-")
    (tmp_path / "y.jpg").chmod(0)
    with pytest.raises(PhotoError) as denied:
        root.read("y.jpg")
    assert denied.value.code == "denied"
    (tmp_path / "shut").chmod(0)
    try:
        with pytest.raises(GlassegError, match="shut"):
            keys(root)
        with pytest.raises(GlassegError, match="permission"):
            check_writable(Folder(tmp_path / "shut"))
    finally:
        (tmp_path / "shut").chmod(0o700)


def test_a_folder_that_can_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Folder(tmp_path).write("a/shut/x.jpg", b"-")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(GlassegError, match="a/shut: Permission denied"):
        keys(Folder(tmp_path))


def test_the_file_systems_own_folder_at_the_top_of_a_disk_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lost+found").mkdir()
    Folder(tmp_path).write("x.jpg", b"-")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert keys(Folder(tmp_path)) == ["x.jpg"]


def test_what_can_not_be_deleted_of_ours_is_one_line_and_half_written_files_are_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "_glasseg/tmp").mkdir(parents=True)
    (tmp_path / "_glasseg/tmp/a\\b").write_bytes(b"-")  # a name that no key may have
    sweep(Folder(tmp_path))
    (tmp_path / "_glasseg/claims/run1.parquet").mkdir(parents=True)
    with pytest.raises(GlassegError, match=r"can't be deleted: .*run1\.parquet"):
        delete_if_allowed(Folder(tmp_path), "_glasseg/claims/run1.parquet")


def test_a_link_to_itself_is_not_a_place(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(GlassegError, match="loop"):
        keys(open_root(str(tmp_path / "loop")))


def test_a_folder_lists_in_the_order_of_s3(tmp_path: Path) -> None:
    root = Folder(tmp_path)
    for name in ("a/x", "a!", "a-b", "a0", "a.jpg", "B", "é", "👓", "ｚ"):
        root.write(name, b"-")
    listed = [entry.key for entry in root.list()]
    assert listed == sorted(listed, key=str.encode)


def test_links_are_followed_but_never_in_a_circle(tmp_path: Path) -> None:
    root, other = Folder(tmp_path / "in"), Folder(tmp_path / "other")
    root.write("a/x.jpg", b"-")
    other.write("y.jpg", b"four")
    (root.path / "file.jpg").symlink_to(other.path / "y.jpg")
    (root.path / "folder").symlink_to(other.path)
    (root.path / "a/up").symlink_to(root.path)
    (root.path / "self.jpg").symlink_to(root.path / "self.jpg")
    (root.path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    sizes = {entry.key: entry.size for entry in root.list()}
    assert sizes == {"a/x.jpg": 1, "broken.jpg": 0, "file.jpg": 4, "folder/y.jpg": 4, "self.jpg": 0}
    for key, code in (("broken.jpg", "vanished"), ("self.jpg", "read_error")):
        with pytest.raises(PhotoError) as error:
            root.read(key)
        assert error.value.code == code


def test_what_is_not_a_file_is_a_row_and_never_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for key in ("pipe.jpg", "folder.jpg"):
        with pytest.raises(PhotoError) as error:
            Folder(tmp_path).read(key)
        assert error.value.code == "read_error"
    assert keys(Folder(tmp_path)) == ["pipe.jpg"]


def test_a_source_folder_that_goes_away_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(GlassegError, match="gone"):
        Folder(tmp_path / "unplugged").read("x.jpg")


def test_a_source_that_does_not_exist_is_named(tmp_path: Path) -> None:
    for name in ("nowhere", "nowhere/x.jpg"):
        with pytest.raises(GlassegError, match=f"{name} does not exist") as error:
            open_source(str(tmp_path / name))
        one_line(error)


def test_a_linked_photo_keeps_its_own_name(tmp_path: Path) -> None:
    Folder(tmp_path).write("archive/1234.jpg", b"photo")
    (tmp_path / "in").mkdir()
    link = tmp_path / "in/x.jpg"
    link.symlink_to(tmp_path / "archive/1234.jpg")
    root, names = open_source(str(link))
    assert (root.uri, names) == (str(tmp_path / "in"), ["x.jpg"])
    with pytest.raises(GlassegError):
        refuse_nested(str(link), str(tmp_path / "in"))


def test_nested_destinations_are_refused_through_links(tmp_path: Path) -> None:
    (tmp_path / "real/in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real/in")
    for destination in ("link", "link/out", "real", "real/in/out"):
        for source in ("real/in", "link"):
            with pytest.raises(GlassegError):
                refuse_nested(str(tmp_path / source), str(tmp_path / destination))
    refuse_nested(str(tmp_path / "link"), str(tmp_path / "white"))


def test_a_destination_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"-")
    for place in ("file", "file/below"):
        with pytest.raises(GlassegError, match="file"):
            check_writable(open_root(str(tmp_path / place)))


def test_folders_need_no_boto3() -> None:
    opened = "import sys; from glasseg.storage.roots import *; list(open_root('.').list('x'))"
    program = f"{opened}; assert 'boto3' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


# ---------------------------------------------------------------------------------------------------- S3


@pytest.fixture
def bucket(s3: S3Server) -> Bucket:
    """A fresh empty prefix on the S3 server."""
    return Bucket(s3.bucket, uuid.uuid4().hex)


def test_directory_markers_are_no_photos(s3: S3Server, bucket: Bucket) -> None:
    bucket.write("a/x.jpg", b"-")
    s3.client().put_object(Bucket=bucket.bucket, Key=f"{bucket.prefix}/marker/", Body=b"")
    assert keys(bucket) == ["a/x.jpg"]


def test_browsers_show_what_was_written(s3: S3Server, bucket: Bucket) -> None:
    for name, kind in (("X.JPG", "image/jpeg"), ("x.png", "image/png"), ("x", "application/octet-stream")):
        bucket.write(name, b"-")
        head = s3.client().head_object(Bucket=bucket.bucket, Key=f"{bucket.prefix}/{name}")
        assert head["ContentType"] == kind


def test_an_empty_prefix_is_a_source_without_photos(bucket: Bucket) -> None:
    assert open_source(bucket.uri) == (bucket, None)


def test_a_photo_at_the_top_of_a_bucket(s3: S3Server) -> None:
    name = f"{uuid.uuid4().hex}.jpg"
    Bucket(s3.bucket).write(name, b"photo")
    assert open_source(f"s3://{s3.bucket}/{name}") == (Bucket(s3.bucket), [name])


def test_an_endpoint_can_be_given(s3: S3Server, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.write("x.jpg", b"-")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    root, _ = open_source(bucket.uri, endpoint_url=s3.endpoint_url)
    assert keys(root) == ["x.jpg"]


def test_bucket_names_are_compared_exactly() -> None:
    refuse_nested("s3://photos/a", "s3://photos-white/a")
    refuse_nested("s3://b/a", "s3://b/a-white")
    refuse_nested("s3://b/a", "/b/a")
    for source, destination in (("s3://b", "s3://b/out"), ("s3://b/in", "s3://b"), ("s3://b/in/", "s3://b/in")):
        with pytest.raises(GlassegError):
            refuse_nested(source, destination)


def test_every_use_of_a_missing_bucket_stops_the_run(s3: S3Server) -> None:
    missing = Bucket("no-such-bucket", "in")
    for use in (
        lambda: missing.read("x.jpg"),
        lambda: missing.write("x.jpg", b"-"),
        lambda: keys(missing),
        lambda: open_source(missing.uri),
        lambda: check_writable(missing),
    ):
        with pytest.raises(GlassegError, match=r"s3://no-such-bucket/in.*does not exist") as error:
            use()
        one_line(error)


def test_a_reader_can_read_but_is_refused_as_a_writer(
    s3: S3Server, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.write("x.jpg", b"-")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.reader[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.reader[1])
    reader = Bucket(bucket.bucket, bucket.prefix)
    assert reader.read("x.jpg")[0] == b"-"
    for use in (lambda: check_writable(reader), lambda: reader.write("x.jpg", b"new"), lambda: reader.delete("x.jpg")):
        with pytest.raises(GlassegError, match="no permission for") as error:
            use()
        assert bucket.uri in one_line(error)
    assert reader.read("x.jpg")[0] == b"-"


@pytest.mark.parametrize(
    ("key", "secret", "words"),
    [
        ("unknown-key", "some-secret", "access key is not known"),
        ("admin-key", "wrong-secret", "secret key does not belong to the access key"),
        ("", "", "no AWS credentials found for .*: set AWS_ACCESS_KEY_ID"),
        ("admin-key", "", "incomplete AWS credentials for .*: AWS_SECRET_ACCESS_KEY is missing"),
    ],
)
def test_wrong_or_missing_credentials_stop_the_run(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, key: str, secret: str, words: str
) -> None:
    bucket.write("x.jpg", b"-")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name, value in (("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", secret)):
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name)
    stranger = Bucket(bucket.bucket, bucket.prefix)
    for use in (
        lambda: stranger.read("x.jpg"),
        lambda: stranger.write("x.jpg", b"-"),
        lambda: stranger.exists("x.jpg"),
        lambda: keys(stranger),
        lambda: open_source(stranger.uri_of("x.jpg")),
        lambda: check_writable(stranger),
    ):
        with pytest.raises(GlassegError, match=words) as error:
            use()
        assert bucket.uri in one_line(error)


def test_a_profile_that_does_not_exist_is_named(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(GlassegError, match="no-such-profile"):
        keys(bucket)


def test_an_endpoint_that_is_not_a_url_is_named(bucket: Bucket) -> None:
    with pytest.raises(GlassegError, match="nonsense"):
        open_source(bucket.uri, endpoint_url="nonsense")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port whose queue of callers is full: a connection is neither taken nor refused, as behind a firewall."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(server.getsockname())
        yield server.getsockname()[1]
        for caller in callers:
            caller.close()


def open_there(root: Bucket) -> object:
    return open_source(root.uri, endpoint_url=root.endpoint_url)


@pytest.mark.parametrize(
    ("ask", "place"),
    [
        *((ask, place) for ask in (check_writable, open_there) for place in ("closed", "unknown host")),
        pytest.param(open_there, "silent", marks=pytest.mark.slow),  # three times three seconds
        pytest.param(check_writable, "silent", marks=pytest.mark.slow),
    ],
)
def test_an_endpoint_that_does_not_answer_is_said_soon(
    s3: S3Server, silent_port: int, place: str, ask: Callable[[Bucket], object]
) -> None:
    host = {"closed": f"127.0.0.1:{free_ports(1)[0]}", "silent": f"127.0.0.1:{silent_port}"}.get(place, "s3.invalid")
    started = time.monotonic()
    with pytest.raises(GlassegError, match="can't reach the S3 server of s3://photos/x") as error:
        ask(Bucket("photos", "x", f"http://{host}"))
    assert host.split(":")[0] in one_line(error)
    assert time.monotonic() - started < 20


# ---------------------------------------------------------------------------------------------------- refusals

REFUSALS = [
    # HTTP status and S3 code; what a read of one photo and what a write of one photo become
    (403, "AccessDenied", "denied", GlassegError),
    (404, "NoSuchKey", "vanished", "write_error"),
    (403, "InvalidObjectState", "read_error", "write_error"),  # an archived object
    (400, "ExpiredToken", GlassegError, GlassegError),
    (403, "RequestTimeTooSkewed", GlassegError, GlassegError),
    (404, "NoSuchBucket", GlassegError, GlassegError),
    (400, "KeyTooLongError", "too_long_name", "too_long_name"),
    (507, "XMinioStorageFull", GlassegError, GlassegError),
]


@pytest.fixture
def refusing_server() -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """The endpoint of a server that refuses everything with the status and code last put in the list."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    answers: list[tuple[int, str]] = []

    class Refusal(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            status, code = answers[-1]
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = f"<Error><Code>{code}</Code><Message>two\nlines</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("status", "code", "reading", "writing"), REFUSALS)
def test_a_refusal_is_a_row_or_stops_the_run(
    s3: S3Server,
    refusing_server: tuple[str, list[tuple[int, str]]],
    *,
    status: int,
    code: str,
    reading: str | type,
    writing: str | type,
) -> None:
    endpoint_url, answers = refusing_server
    answers.append((status, code))
    root = Bucket("photos", "x", endpoint_url)
    for use, expected in ((lambda: root.read("y.jpg"), reading), (lambda: root.write("y.jpg", b"-"), writing)):
        with pytest.raises((GlassegError, PhotoError)) as error:
            use()
        assert getattr(error.value, "code", GlassegError) == expected
        assert "s3://photos/x/y.jpg" in one_line(error)


def test_a_photo_that_breaks_off_is_read_again(s3: S3Server) -> None:
    """The first answer ends after half of the promised bytes, the second is whole."""
    from http.server import BaseHTTPRequestHandler, HTTPServer

    asked: list[str] = []

    class Flaky(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "10")
            self.send_header("ETag", '"abc"')
            self.end_headers()
            self.wfile.write(b"0123456789"[: 5 if len(asked) == 1 or "always" in self.path else 10])

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Flaky) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = Bucket("photos", "", f"http://127.0.0.1:{server.server_port}")
        assert root.read("once.jpg") == (b"0123456789", "abc")
        with pytest.raises(PhotoError) as error:
            root.read("always.jpg")
        assert error.value.code == "read_error"
        server.shutdown()
    assert len(asked) == 2 + 3


def test_what_nfs_keeps_of_deleted_files_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a file can be neither read nor deleted while somebody has it open; in a source it is a file like others."""
    root, delete = Folder(tmp_path), os.unlink
    for key in ("_glasseg/tmp/.nfs0001", "_glasseg/runs/.nfs0002.json", "_glasseg/runs/a.json", ".nfs0003", "a.jpg"):
        root.write(key, b"-")

    def busy(path: Any, **options: Any) -> None:
        if ".nfs" in str(path):
            raise OSError(errno.EPERM, "not allowed")
        delete(path, **options)

    monkeypatch.setattr(os, "unlink", busy)
    assert [entry.key for entry in root.list()] == [".nfs0003", "_glasseg/runs/a.json", "a.jpg"]
    sweep(root)
    tidy(root)
    check_writable(root)


def test_a_disk_that_fails_while_it_is_synced_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many disks report only then that they are full, or broken."""
    root, reasons = Folder(tmp_path), {errno.ENOSPC: "the disk is full", errno.EDQUOT: "quota"}
    for number, reason in reasons.items():
        with monkeypatch.context() as patched, pytest.raises(GlassegError, match=reason):
            patched.setattr(os, "fsync", broken(number))
            root.write("a.jpg", b"-")
    assert not root.exists("a.jpg"), "whole or not at all"
    root.write("a.jpg", b"-")
    monkeypatch.setattr(os, "fsync", broken(errno.EIO))
    with pytest.raises(PhotoError, match=r"a\.jpg"):
        root.write("a.jpg", b"new")
    with pytest.raises(GlassegError, match="can't write to"):
        root.sync(["a.jpg"])
    assert root.read("a.jpg")[0] == b"-"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_disk_that_can_not_be_synced_is_written_all_the_same(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", broken(number))
    root = Folder(tmp_path / "new/folder")
    root.write("a/b.jpg", b"-")
    root.sync(["a/b.jpg", "gone/c.jpg"])
    assert root.swap("lock.json", None, b"-") and root.read("a/b.jpg")[0] == b"-"


def broken(number: int) -> Callable[[int], None]:
    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    return fsync
