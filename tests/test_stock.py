"""What training pictures are made of: cut out, softened, shrunk and grouped; a bad file is named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from glasseg import stock
from glasseg.errors import GlassegError
from glasseg.pairs import Index, Pair
from glasseg.stock import LAYER_SIDE, Layer, load_stock

RED = (200, 30, 40)


def write(path: Path, picture: np.ndarray) -> Path:
    """`picture` as a file: grey, RGB or RGBA."""
    codes = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    cv2.imwrite(str(path), picture if picture.ndim == 2 else cv2.cvtColor(picture, codes[picture.shape[2]]))
    return path


def product(folder: Path, name: str = "p", size: tuple[int, int] = (60, 100), split: str = "train") -> Pair:
    """A red bar on white, in the middle third."""
    photo, mask = np.full((*size, 3), 255, np.uint8), np.zeros(size, np.uint8)
    middle = (slice(size[0] // 3, size[0] * 2 // 3), slice(size[1] // 3, size[1] * 2 // 3))
    photo[middle], mask[middle] = RED, 255
    return Pair(write(folder / f"{name}.png", photo), write(folder / f"{name}_mask.png", mask), "product", name, split)


def load_one(pair: Pair) -> Layer:
    [[layer]] = load_stock(Index([pair], []), pair.split).layers
    return layer


def test_a_product_is_cropped_to_its_glasses_with_a_margin(tmp_path: Path) -> None:
    layer = load_one(product(tmp_path))
    assert layer.photo.shape == (20 + 8, 33 + 8, 3) and layer.coverage.shape == layer.lens.shape == (28, 41)
    assert layer.photo.dtype == layer.coverage.dtype == layer.lens.dtype == np.uint8
    assert (layer.photo[layer.coverage == 255] == RED).all() and (layer.photo[layer.coverage == 0] == 255).all()
    assert (layer.coverage == 255).sum() == 20 * 33


def test_a_large_product_is_shrunk(tmp_path: Path) -> None:
    layer = load_one(product(tmp_path, size=(2400, 3600)))
    assert max(layer.coverage.shape) == LAYER_SIDE and layer.photo.shape[:2] == layer.coverage.shape


def test_a_half_white_rim_pixel_counts_half(tmp_path: Path) -> None:
    photo, mask = np.full((40, 60, 3), 255, np.uint8), np.zeros((40, 60), np.uint8)
    photo[10:30, 10:50], photo[10:30, 50] = 55, 155
    mask[10:30, 10:51] = 255
    soft = stock._soften(photo, mask)
    assert (soft[12:28, 50] == 128).all() and (soft[12:28, 12:49] == 255).all() and (soft[:, 53:] == 0).all()


def test_a_cutouts_alpha_is_its_coverage_and_it_lies_on_white(tmp_path: Path) -> None:
    rgba = np.zeros((40, 60, 4), np.uint8)
    rgba[10:30, 10:50] = (*RED, 255)
    rgba[10:30, 50] = (*RED, 128)
    layer = load_one(Pair(write(tmp_path / "c.png", rgba), None, "cutout", "c", "train"))
    assert set(np.unique(layer.coverage)) == {0, 128, 255}
    assert (layer.photo[layer.coverage == 255] == RED).all() and (layer.photo[layer.coverage == 0] == 255).all()
    assert np.abs(layer.photo[layer.coverage == 128] - (np.array(RED) + 255) / 2).max() < 1


def test_a_scene_keeps_its_background_and_what_is_not_scored(tmp_path: Path) -> None:
    photo, mask = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8), np.zeros((30, 40), np.uint8)
    mask[5:10], mask[10:15], mask[15:20] = 255, 128, 64
    pair = Pair(write(tmp_path / "s.png", photo), write(tmp_path / "s_mask.png", mask), "scene", "s", "train")
    [scene] = load_stock(Index([pair], []), "train").scenes
    assert np.array_equal(scene.photo, photo)
    assert np.array_equal(scene.coverage, np.where(mask == 255, 255, 0))
    assert np.array_equal(scene.weight, np.where(mask == 64, 0, 255))


def test_only_the_asked_split_is_loaded(tmp_path: Path) -> None:
    backgrounds = [(write(tmp_path / f"{s}.jpg", np.full((9, 9, 3), 9, np.uint8)), s) for s in ("train", "validation")]
    index = Index([product(tmp_path, "a"), product(tmp_path, "b", split="validation")], backgrounds)
    loaded = load_stock(index, "validation")
    assert [len(bucket) for bucket in loaded.layers] == [1] and len(loaded.backgrounds) == 1


def test_no_product_dominates_and_none_is_lost() -> None:
    def group(n: int) -> list[Layer]:
        return [Layer(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8))] * n

    buckets = stock._buckets([group(183), *[group(1) for _ in range(130)], group(8)])
    assert [len(bucket) for bucket in buckets] == [183, 69, 69]
    assert stock._buckets([group(20)]) and stock._buckets([]) == []


def test_drawn_photos_are_the_same_in_every_run(tmp_path: Path) -> None:
    index = Index([product(tmp_path)], [])
    first, second = (load_stock(index, "train", drawn=1).drawn[0] for _ in range(2))
    assert np.array_equal(first.photo, second.photo) and np.array_equal(first.coverage, second.coverage)
    assert first.coverage.dtype == np.uint8 and first.coverage.max() == 255 and (first.weight == 255).all()


def test_a_photo_and_a_mask_of_different_sizes_are_refused_naming_both(tmp_path: Path) -> None:
    pair = product(tmp_path)
    assert pair.mask is not None
    write(pair.mask, np.zeros((9, 9), np.uint8))
    with pytest.raises(GlassegError, match=r"p\.png and its mask .*p_mask\.png differ"):
        load_one(pair)


@pytest.mark.parametrize("broken", ["photo", "mask"])
@pytest.mark.parametrize("data", [b"", b"no picture", None])
def test_a_file_that_is_no_picture_is_named(tmp_path: Path, broken: str, data: bytes | None) -> None:
    pair = product(tmp_path)
    path: Path = getattr(pair, broken)
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(GlassegError, match=str(path)):
        load_one(pair)


def test_a_cutout_without_alpha_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "c.png", np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(GlassegError, match=r"c\.png is no cutout"):
        load_one(Pair(path, None, "cutout", "c", "train"))
