"""Labelled photos and glasses as they are read: cut out, softened, shrunk; what can't be used is refused with why."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from glasseg.errors import PhotoError
from glasseg.labels import masks, reading

RED = (200, 30, 40)


def png(picture: np.ndarray) -> bytes:
    """`picture`, grey, RGB or RGBA, as the bytes of a PNG."""
    codes = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    stored = picture if picture.ndim == 2 else cv2.cvtColor(picture, codes[picture.shape[2]])
    return cv2.imencode(".png", stored)[1].tobytes()


def product(size: tuple[int, int] = (60, 100)) -> tuple[bytes, bytes]:
    """A red bar on white, in the middle third: photo and mask."""
    photo, mask = np.full((*size, 3), 255, np.uint8), np.zeros(size, np.uint8)
    middle = (slice(size[0] // 3, size[0] * 2 // 3), slice(size[1] // 3, size[1] * 2 // 3))
    photo[middle], mask[middle] = RED, 255
    return png(photo), png(mask)


def test_a_product_is_cropped_to_its_glasses_with_a_margin() -> None:
    layer = reading.read_product(*product())
    parts = (layer.coverage, layer.opening, layer.lens)
    assert layer.photo.shape == (20 + 8, 33 + 8, 3) and {part.shape for part in parts} == {(28, 41)}
    assert {part.dtype for part in (layer.photo, *parts)} == {np.dtype(np.uint8)}
    assert (layer.photo[layer.coverage == 255] == RED).all() and (layer.photo[layer.coverage == 0] == 255).all()
    assert (layer.coverage == 255).sum() == 20 * 33


def test_a_large_product_is_shrunk_only_when_asked() -> None:
    photo, mask = product((1200, 1800))
    assert reading.read_product(photo, mask, 300).coverage.shape[1] == 300
    assert reading.read_product(photo, mask).coverage.shape == (400 + 80, 600 + 80)


def test_a_half_white_rim_pixel_counts_half() -> None:
    photo, mask = np.full((40, 60, 3), 255, np.uint8), np.zeros((40, 60), np.uint8)
    photo[10:30, 10:50], photo[10:30, 50] = 55, 155
    mask[10:30, 10:51] = 255
    soft = reading._soften(photo, mask)
    assert (soft[12:28, 50] == 128).all() and (soft[12:28, 12:49] == 255).all() and (soft[:, 53:] == 0).all()


def test_a_cutouts_alpha_is_its_coverage_and_it_lies_on_white() -> None:
    rgba = np.zeros((40, 60, 4), np.uint8)
    rgba[10:30, 10:50] = (*RED, 255)
    rgba[10:30, 50] = (*RED, 128)
    layer = reading.read_cutout(png(rgba))
    assert set(np.unique(layer.coverage)) == {0, 128, 255}
    assert (layer.photo[layer.coverage == 255] == RED).all() and (layer.photo[layer.coverage == 0] == 255).all()
    assert np.abs(layer.photo[layer.coverage == 128] - (np.array(RED) + 255) / 2).max() < 1


def test_a_scene_keeps_its_background_and_what_is_not_scored() -> None:
    photo, mask = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8), np.zeros((30, 40), np.uint8)
    mask[5:10], mask[10:15], mask[15:20] = 255, 128, 64
    scene = reading.read_scene(png(photo), png(mask))
    assert np.array_equal(scene.photo, photo)
    assert np.array_equal(scene.coverage, np.where(mask == 255, 255, 0))
    assert np.array_equal(scene.weight, np.where(mask == 64, 0, 255))
    assert np.array_equal(scene.opening, np.where(mask == 128, 255, 0))


@pytest.mark.parametrize("read", [reading.read_scene, reading.read_product])
def test_a_mask_of_another_size_is_refused_with_both_sizes(read: object) -> None:
    with pytest.raises(ValueError, match="mask is 9×5 pixels, the photo 100×60"):
        read(product()[0], png(np.full((5, 9), 255, np.uint8)))  # type: ignore[operator]


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        reading.read_scene(product()[0], png(np.zeros((60, 100), np.uint8)))


def test_a_broken_photo_is_a_photo_error_and_a_broken_mask_a_value_error() -> None:
    photo, mask = product()
    with pytest.raises(PhotoError):
        reading.read_scene(b"no picture", mask)
    with pytest.raises(ValueError, match="not a picture"):
        reading.read_scene(photo, b"no picture")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a picture"),
        (png(np.zeros((9, 9, 3), np.uint8)), "not a cutout"),
        (png(np.zeros((9, 9, 4), np.uint8)), "no pixel is opaque"),
    ],
)
def test_what_is_not_a_cutout_is_refused_with_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        reading.read_cutout(data)


def test_what_a_product_mask_does_not_score_is_no_part_of_the_layer() -> None:
    photo, mask = np.full((60, 90, 3), 255, np.uint8), np.zeros((60, 90), np.uint8)
    photo[20:40, 20:50], mask[20:40, 20:50] = 30, 255
    photo[20:40, 50:60], mask[20:40, 50:60] = (200, 0, 0), 64  # a tag next to the glasses
    layer = reading.read_product(png(photo), png(mask))
    assert (layer.photo[..., 0] == layer.photo[..., 2]).all()


@pytest.mark.parametrize("shape", [(2, 2, 3), (1, 700, 3), (4000, 3, 3)])
def test_dividers_and_tracking_pixels_are_no_backdrops(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="pixels are too"):
        reading.read_backdrop(png(np.zeros(shape, np.uint8)), 640)


@pytest.mark.parametrize("colour", [(250, 50, 83), (128, 0, 0), (0, 0, 1), (1, 1, 1), (100, 100, 100), (254, 255, 255)])
@pytest.mark.parametrize("share", [0.0005, 0.4])
def test_in_a_mask_of_black_and_one_colour_the_colour_is_glasses(colour: tuple[int, int, int], share: float) -> None:
    material = np.zeros((100, 60), bool)
    material[: max(1, int(100 * share)), :3] = True
    label = masks.read_label(png(np.where(material[..., None], np.uint8(colour), np.uint8(0))))
    assert np.array_equal(label.material, material) and not label.opening.any() and not label.ignored.any()


def test_a_palette_with_one_class_is_such_a_mask() -> None:
    picture = Image.fromarray(np.kron(np.eye(2, dtype=np.uint8), np.ones((9, 9), np.uint8)), "P")
    picture.putpalette([0, 0, 0, 250, 50, 83])
    picture.save(data := io.BytesIO(), "PNG")
    assert np.array_equal(masks.read_label(data.getvalue()).material, np.asarray(picture) == 1)


@pytest.mark.parametrize("value", [64, 128, 255])
def test_a_value_of_label_maps_keeps_its_meaning_next_to_black_alone(value: int) -> None:
    mask = np.zeros((30, 40), np.uint8)
    mask[10:20] = value
    label = masks.read_label(png(mask))
    assert (label.material.any(), label.opening.any(), label.ignored.any()) == (value == 255, value == 128, value == 64)


@pytest.mark.parametrize("colours", [[(9, 0, 0)], [(0, 0, 0), (200, 0, 0), (0, 200, 0)], [(1, 1, 1), (200, 0, 0)]])
def test_more_colours_or_no_black_are_no_mask_of_one_class(colours: list[tuple[int, int, int]]) -> None:
    picture = np.uint8(colours)[np.arange(900).reshape(30, 30) % len(colours)]
    if len(colours) == 1:
        assert not masks.read_label(png(picture)).material.any()
    else:
        with pytest.raises(ValueError, match="colour photo"):
            masks.read_label(png(picture))


def test_nothing_is_printed_about_a_broken_mask(capfd: pytest.CaptureFixture[str]) -> None:
    mask = np.kron(np.eye(40, dtype=np.uint8) * 255, np.ones((4, 4), np.uint8))
    for kind in (".png", ".tif", ".jpg", ".bmp"):
        data = cv2.imencode(kind, mask)[1].tobytes()
        with pytest.raises(ValueError, match="the mask is not a picture"):
            masks.read_label(data[: len(data) // 2])
    assert capfd.readouterr() == ("", "")
