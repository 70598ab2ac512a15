"""Every kind of picture gives its colours, upright; every broken one a `PhotoError`; and none costs the worker."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import corpus
import numpy as np
import pytest
from corpus import Sample
from handmade import saved
from PIL import Image

from glasseg import formats
from glasseg.errors import PhotoError
from glasseg.images import compositing, decoder

LIMIT = 100_000_000
SAMPLES = corpus.samples()

# What a fresh process says of many files: how each ended, the slowest in seconds of processor time, and its peak
# memory in MB before and after.
ATTEMPT = r"""
import json, pathlib, re, sys, time
import corpus
from glasseg.images import decoder
from glasseg.errors import PhotoError

files = corpus.bombs() if sys.argv[1] == "bombs" else corpus.mutations(int(sys.argv[1]), int(sys.argv[2]))

def peak():  # getrusage would count what the test's own process held when it started this one
    return int(re.search(r"VmHWM:\s*(\d+)", pathlib.Path("/proc/self/status").read_text())[1]) // 1024

decoder.decode(corpus.samples()[0].data, max_pixels=10**8)
before, ends, slowest = peak(), {}, 0.0
for name, data in files:
    start = time.process_time()
    try:
        decoder.decode(data, max_pixels=10**8).on_white()
        ends[name] = "photo"
    except PhotoError as error:
        ends[name] = error.code
    except Exception as error:
        ends[name] = f"{type(error).__name__}: {error}"
    slowest = max(slowest, time.process_time() - start)
print(json.dumps({"ends": ends, "slowest": slowest, "before": before, "after": peak()}))
"""


def attempt(*arguments: str) -> dict[str, object]:
    here = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPT, *arguments],
        env={"PYTHONPATH": f"{here}:{here.parent}", "PATH": ""},
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == "", "libraries keep quiet"
    return dict(json.loads(done.stdout))


def decode(data: bytes, max_pixels: int = LIMIT) -> decoder.Photo:
    return decoder.decode(data, max_pixels=max_pixels)


def named(name: str) -> Sample:
    return next(sample for sample in SAMPLES if sample.name == name)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_picture_gives_its_colours_upright(sample: Sample) -> None:
    photo = decode(sample.data)
    shown = photo.on_white()
    assert shown.shape == sample.expected.shape and shown.dtype == np.uint8 and shown.flags.c_contiguous
    difference = np.abs(shown - sample.expected.astype(float))
    assert difference.mean() <= sample.tolerance and difference.max() <= sample.most
    if sample.alpha is None:
        assert photo.alpha is None
    else:
        assert np.array_equal(photo.alpha, sample.alpha)
    assert np.array_equal(decoder.decode_on_white(sample.data, max_pixels=LIMIT), shown)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_remark_is_made_where_there_is_something_to_say_and_only_there(sample: Sample) -> None:
    remarks = decode(sample.data).warnings
    if sample.warns is None:
        assert remarks == ()
    else:
        assert any(sample.warns in remark for remark in remarks)


OTHER_SUFFIXES = {"jpeg", "jfif", "jpe", "pjpeg", "pjp", "hif"}
"""Of JPEG and HEIC, which the corpus has as .jpg and .heic."""


def test_every_extension_of_photos_is_in_the_corpus() -> None:
    assert {sample.name.rsplit(".", 1)[1] for sample in SAMPLES} >= formats.PHOTO_EXTENSIONS - OTHER_SUFFIXES


def test_where_a_photo_is_half_transparent_its_colours_stay_straight() -> None:
    image, alpha = corpus.scene(), corpus.alpha_scene()
    for name in ("rgba.png", "alpha.webp", "rgba.tif"):
        photo = decode(named(name).data)
        assert np.array_equal(photo.image[alpha > 0], image[alpha > 0])
        assert np.array_equal(photo.on_white(), compositing.compose(image, alpha))


def test_cmyk_without_adobe_marker_is_not_a_negative() -> None:
    for name in ("cmyk_no_marker_paper.jpg", "cmyk_no_marker_inks.jpg"):
        assert (decode(named(name).data).image[48:] >= 253).all()  # the ground is paper, not ink


@pytest.mark.parametrize("name", ["baseline.jpg", "progressive.jpg", "grey.jpg", "cmyk_adobe.jpg", "adobe_rgb.jpg"])
def test_truncated_jpeg_is_refused_and_not_half_grey(name: str) -> None:
    data = named(name).data
    for length in [*range(1, len(data) - 2, 97), len(data) - 3]:
        with pytest.raises(PhotoError) as caught:
            decode(data[:length])
        assert caught.value.code == "unreadable"


@pytest.mark.parametrize("name", ["baseline.jpg", "grey.jpg", "cmyk_adobe.jpg", "adobe_rgb.jpg"])
def test_a_jpeg_with_a_hole_is_refused_although_it_has_an_end(name: str) -> None:
    data = named(name).data
    start = data.rindex(b"\xff\xda") + 120
    with pytest.raises(PhotoError, match="the JPEG is damaged"):
        decode(data[:start] + data[start + 300 :])


def test_a_jpeg_with_bytes_left_over_is_read_with_a_remark() -> None:
    data = named("baseline.jpg").data
    photo = decode(data[:-2] + b"\x11" * 20 + data[-2:])
    assert np.array_equal(photo.image, decode(data).image)
    assert any("left over" in remark for remark in photo.warnings)


def test_the_first_picture_of_an_animation_may_be_a_patch() -> None:
    data = bytearray(named("frames.webp").data)
    frame = data.index(b"ANMF")
    data[24:27], data[frame + 8] = (119).to_bytes(3, "little"), 4  # a canvas 120 wide, the picture 8 from its left
    photo = decode(bytes(data))
    assert photo.image.shape == (64, 120, 3)
    assert np.array_equal(photo.image[:, 8:104], corpus.scene())
    assert (photo.on_white()[:, :8] == 255).all() and (photo.on_white()[:, 104:] == 255).all()


@pytest.mark.parametrize(
    "name", ["rgb.png", "lossy.webp", "lossless.webp", "raw.tif", "jpeg.tif", "rgb.bmp", "rgb.avif", "rgb.heic"]
)
def test_a_truncated_picture_is_refused(name: str) -> None:
    data = named(name).data
    for share in (0.1, 0.5, 0.9, 0.98):
        with pytest.raises(PhotoError) as caught:
            decode(data[: int(share * len(data))])
        assert caught.value.code == "unreadable"


def test_the_limit_is_judged_before_and_after_turning_alike() -> None:
    data = named("orientation_6.jpg").data
    assert decode(data, 64 * 96).image.shape == (64, 96, 3)
    with pytest.raises(PhotoError) as caught:
        decode(data, 64 * 96 - 1)
    assert caught.value.code == "too_large" and caught.value.size == (96, 64)  # as it is stored


@pytest.mark.parametrize("name", [sample.name for sample in SAMPLES if "." in sample.name][::3])
def test_one_pixel_too_many_is_too_many_in_every_format(name: str) -> None:
    with pytest.raises(PhotoError) as caught:
        decode(named(name).data, 64 * 96 - 1)
    assert caught.value.code == "too_large"


def test_a_photo_of_a_phone_with_a_broken_index_of_pictures_is_read() -> None:
    data = named("baseline.jpg").data
    index = b"MPF\0II*\0\x08\0\0\0\xff\x00" + b"\x01" * 40
    marked = data[:2] + b"\xff\xe2" + (len(index) + 2).to_bytes(2, "big") + index + data[2:]
    assert np.array_equal(decode(marked).image, decode(data).image)


def test_reduced_copies_are_not_pages() -> None:
    image = corpus.scene()
    small = Image.fromarray(image[::2, ::2])
    small.encoderinfo = {"tiffinfo": {254: 1}}
    assert decode(saved(image, "TIFF", save_all=True, append_images=[small])).warnings == ()


def test_a_heic_whose_items_have_unreadable_types_does_not_end_the_process() -> None:
    data = named("turned.heic").data
    photo = decode(data.replace(b"Exif\0", b"Ex\x88f\0", 1))
    assert np.array_equal(photo.image, decode(data).image) and "names" in photo.warnings[0]
    with pytest.raises(PhotoError) as caught:
        decode(data.replace(b"hvc1\0", b"hv\x881\0", 1))  # the picture itself
    assert caught.value.code == "unreadable"


def test_bombs_are_refused_and_cost_no_memory() -> None:
    found = attempt("bombs")
    assert {name.rsplit(".", 1)[1] for name in found["ends"]} >= formats.PHOTO_EXTENSIONS - OTHER_SUFFIXES - {
        "tiff",
        "heif",
    }
    metadata = {name: found["ends"].pop(name) for name in ("profile.png", "text.png")}
    assert set(metadata.values()) == {"photo"}  # whose pixels are sound
    assert set(found["ends"].values()) <= {"too_large", "unreadable"}, found["ends"]
    assert found["after"] - found["before"] < 100


def test_damaged_files_give_a_photo_or_a_photo_error_within_bounds() -> None:
    found = attempt("20260101", "500")
    assert len(found["ends"]) == 500
    assert set(found["ends"].values()) <= {"photo", "unreadable", "too_large", "empty"}, found["ends"]
    assert list(found["ends"].values()).count("photo") > 50  # the damage is not all in the first bytes
    assert found["after"] < 1500
    assert found["slowest"] < 20  # seconds; most take milliseconds


def test_mutations_repeat() -> None:
    assert list(corpus.mutations(7, 40)) == list(corpus.mutations(7, 40))


def test_threads_get_the_same_photos_as_one_at_a_time() -> None:
    chosen = SAMPLES[::4]
    expected = [decode(sample.data).on_white() for sample in chosen]
    wrong: list[str] = []

    def work() -> None:
        for sample, photo in zip(chosen, expected, strict=True):
            if not np.array_equal(decode(sample.data).on_white(), photo):
                wrong.append(sample.name)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
