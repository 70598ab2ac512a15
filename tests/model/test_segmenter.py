"""Photos in, probabilities out: the same bytes alone and in company, the second pass, and both ways to fit a photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg.cutout.matte import to_alpha
from glasseg.model import segmenter as module
from glasseg.model.folder import ModelFolder, ModelSpec
from glasseg.model.letterbox import Letterbox, letterbox
from glasseg.model.segmenter import Segmenter, _crop

SIZES = (
    (300, 400),
    (64, 64),
    (1200, 900),
    (512, 512),
    (33, 700),
    (700, 33),
    (5, 5),
    (1, 1),
    (513, 2),
    (90, 1024),
    (7, 9),
)


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]


@pytest.fixture(scope="module")
def segmenter(tensorflow: Any, untrained_model: ModelFolder) -> Segmenter:
    return Segmenter(untrained_model, threads=1)


def probabilities(segmenter: Segmenter, photos: list[np.ndarray]) -> list[np.ndarray]:
    return [seen.probability for seen in segmenter.segment(photos)]


def alphas(segmenter: Segmenter, photos: list[np.ndarray]) -> list[bytes]:
    spec = segmenter.spec
    return [to_alpha(p, spec.threshold, spec.ramp).tobytes() for p in probabilities(segmenter, photos)]


@pytest.fixture(scope="module")
def alone(segmenter: Segmenter, photos: list[np.ndarray]) -> list[bytes]:
    """The alpha of every photo on its own."""
    return [alphas(segmenter, [photo])[0] for photo in photos]


def darkness_segmenter(side: int, **spec: Any) -> Segmenter:
    """A segmenter whose network finds what is dark: its answers are known without one."""
    made = Segmenter.__new__(Segmenter)
    made.spec = replace(ModelSpec("compact", side, "letterbox", 1, 0.5, 0.6, ""), **spec)
    made._run = lambda frames: SimpleNamespace(numpy=lambda: 1 - frames.mean(axis=3, dtype=np.float32) / 255)
    return made


def watched(side: int, **spec: Any) -> tuple[Segmenter, list[tuple[int, ...]]]:
    """A `darkness_segmenter`, and the shapes of its network calls."""
    seen: list[tuple[int, ...]] = []
    made = darkness_segmenter(side, **spec)
    darkness = made._run
    made._run = lambda frames: (seen.append(frames.shape), darkness(frames))[1]
    return made, seen


def calls(photo: np.ndarray, **spec: Any) -> list[tuple[int, ...]]:
    """The shapes of the network calls for a photo that is looked at twice, at 512 pixels."""
    made, seen = watched(512, **{"passes": 2, **spec})
    made.segment([photo])
    return seen


def dark_on_white(size: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    photo = np.full((*size, 3), 255, np.uint8)
    photo[rows, columns] = 0
    return photo


def test_probabilities_have_the_size_of_their_photo(segmenter: Segmenter, photos: list[np.ndarray]) -> None:
    found = probabilities(segmenter, photos)
    assert [p.shape for p in found] == list(SIZES)
    for probability in found:
        assert probability.dtype == np.float32 and 0 <= probability.min() <= probability.max() <= 1
    assert segmenter.segment([]) == []


def test_the_test_photos_tell_alphas_apart(alone: list[bytes]) -> None:
    assert len(set(alone[0])) > 20, "an alpha that is flat would prove nothing"


@pytest.mark.parametrize("place", range(3))
def test_a_photo_gives_the_same_bytes_alone_and_at_every_place(
    segmenter: Segmenter, photos: list[np.ndarray], alone: list[bytes], place: int
) -> None:
    order = [(i - place) % len(photos) for i in range(len(photos))]
    assert alphas(segmenter, [photos[i] for i in order]) == [alone[i] for i in order]


def test_a_photo_is_not_changed(segmenter: Segmenter, photos: list[np.ndarray]) -> None:
    before = photos[0].copy()
    segmenter.segment([photos[0]])
    assert np.array_equal(photos[0], before)


def test_the_dtype_policy_of_others_stays(segmenter: Segmenter) -> None:
    import keras

    assert keras.mixed_precision.dtype_policy().name == "float32"


def test_stretch_works_with_the_baseline(
    untrained_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: list[np.ndarray]
) -> None:
    from glasseg.model import folder as model_folder
    from glasseg.model import unet

    network = unet.build("baseline")
    model_folder.save(tmp_path, network, resize="stretch", passes=1, threshold=0.5, ramp=0.6, training={})
    found = probabilities(Segmenter(model_folder.load(str(tmp_path)), threads=1), photos[:1])
    assert found[0].shape == SIZES[0] and found[0].std() > 0


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("size", [(100, 300), (300, 100), (40, 30), (64, 64)])
def test_what_is_found_lies_where_it_is_in_the_photo(resize: str, size: tuple[int, int]) -> None:
    rows, columns = slice(size[0] // 4, size[0] // 2), slice(size[1] // 2, size[1] * 3 // 4)
    [found] = probabilities(darkness_segmenter(64, resize=resize), [dark_on_white(size, rows, columns)])
    truth = np.zeros(size)
    truth[rows, columns] = 1
    assert found.shape == size
    assert np.count_nonzero((found > 0.5) & (truth > 0)) / np.count_nonzero((found > 0.5) | (truth > 0)) > 0.85
    assert np.abs(found - truth).mean() < 0.06


def test_a_second_look_is_sharper_and_stays_in_its_crop() -> None:
    photo = dark_on_white((600, 800), slice(101, 160), slice(203, 330))
    truth = photo[..., 0] == 0
    [once], [twice] = (probabilities(darkness_segmenter(64, passes=passes), [photo]) for passes in (1, 2))
    assert np.abs(twice - truth).mean() < 0.5 * np.abs(once - truth).mean()
    assert twice.shape == (600, 800) and twice.dtype == np.float32
    assert (twice[:60] == 0).all() and (twice[:, 400:] == 0).all()


def test_only_photos_worth_it_get_a_second_look_whatever_their_neighbours() -> None:
    small = dark_on_white((300, 400), slice(100, 120), slice(200, 260))
    large = dark_on_white((300, 400), slice(10, 290), slice(10, 390))
    empty = np.full((200, 200, 3), 255, np.uint8)
    twice, once = darkness_segmenter(64, passes=2), darkness_segmenter(64)
    together = probabilities(twice, [large, small, empty, small])
    assert np.array_equal(together[0], probabilities(once, [large])[0])
    assert np.array_equal(together[1], probabilities(twice, [small])[0]) and np.array_equal(together[1], together[3])
    assert not together[2].any()
    assert not np.array_equal(together[1], probabilities(once, [small])[0])


def test_the_crop_of_a_second_look_is_exact() -> None:
    box = Letterbox((400, 800), (100, 100), (50, 100), 25, 0)  # 8 photo pixels per model pixel
    map = np.zeros((100, 100), np.float32)
    map[35:45, 20:45] = 0.31  # 10 down, 25 across, from row 10 of the photo's part; its margin: 0.08 * 25 + 2 = 4
    assert _crop(map, box) == (slice((10 - 4) * 8, (20 + 4) * 8), slice((20 - 4) * 8, (45 + 4) * 8))
    map[35:45, 20:45] = 0.29
    assert _crop(map, box) is None  # too faint
    map[35:45, 15:85] = 1.0
    assert _crop(map, box) is None  # 70 + 2 * 7.6 of 100: the crop would show it all
    map[:] = 0
    map[10, 50] = 1.0
    assert _crop(map, box) is None  # in the padding


def test_the_crop_ends_at_the_photos_edge() -> None:
    box = Letterbox((400, 800), (100, 100), (50, 100), 25, 0)
    map = np.zeros((100, 100), np.float32)
    map[25:30, :20] = 1.0
    # 8 photo pixels a model pixel, a margin of 3.6, and whole eights
    assert _crop(map, box) == (slice(0, (5 + 4) * 8), slice(0, (20 + 4) * 8))


def test_a_crop_has_sides_that_halve_three_times_but_for_the_photos_edge() -> None:
    box = Letterbox((403, 801), (100, 100), (50, 100), 25, 0)
    map = np.zeros((100, 100), np.float32)
    map[60:75, 40:63] = 1.0
    rows, columns = _crop(map, box) or (slice(0), slice(0))
    assert rows.start % 8 == columns.start % 8 == columns.stop % 8 == 0 and rows.stop == 403


@given(st.integers(1, 900), st.integers(1, 900), st.integers(0, 10**6))
def test_a_crop_is_never_empty_and_lies_in_the_photo(height: int, width: int, seed: int) -> None:
    _, box = letterbox(np.zeros((height, width, 3), np.uint8), 64)
    rng = np.random.default_rng(seed)
    map = np.zeros((64, 64), np.float32)
    y, x = box.top + rng.integers(box.inner[0]), box.left + rng.integers(box.inner[1])
    map[y : y + rng.integers(1, 20), x : x + rng.integers(1, 20)] = 1.0
    crop = _crop(map, box)
    if crop is not None:
        assert 0 <= crop[0].start < crop[0].stop <= height and 0 <= crop[1].start < crop[1].stop <= width


def test_tiny_photos_survive_a_second_look() -> None:
    for size in ((3, 3), (2, 900), (900, 2), (20, 20)):
        photo = np.full((*size, 3), 255, np.uint8)
        photo[0, 0] = 0
        [found] = probabilities(darkness_segmenter(128, passes=2), [photo])
        assert found.shape == size and np.isfinite(found).all()


def test_other_threads_later_are_refused(segmenter: Segmenter, untrained_model: ModelFolder) -> None:
    with pytest.raises(RuntimeError, match="cannot be modified"):
        Segmenter(untrained_model, threads=3)


def test_half_precision_only_where_the_hardware_has_it() -> None:
    assert module.compute_policy(True) == "mixed_float16"
    assert module.compute_policy(False) in {"float32", "mixed_bfloat16"}


def test_mirrored_photos_get_mirrored_masks_when_both_are_looked_at(
    tensorflow: Any, untrained_model: ModelFolder
) -> None:
    both = Segmenter(replace(untrained_model, spec=replace(untrained_model.spec, mirror=True)), threads=1)
    photo = np.random.default_rng(3).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    [found], [mirrored] = probabilities(both, [photo]), probabilities(both, [photo[:, ::-1]])
    assert np.array_equal(found, mirrored[:, ::-1])
    [once] = probabilities(Segmenter(untrained_model, threads=1), [photo])
    assert not np.array_equal(found, once)


def test_the_first_look_sees_as_many_pixels_as_the_model_says() -> None:
    photo = dark_on_white((600, 800), slice(200, 260), slice(300, 420))
    assert [call[2] for call in calls(photo)] == [384, 512]
    assert [call[2] for call in calls(photo, first_side=256)] == [256, 512]


def test_the_network_computes_no_more_padding_than_its_shape_needs() -> None:
    wide = dark_on_white((600, 800), slice(220, 260), slice(300, 420))
    tall = dark_on_white((800, 200), slice(10, 790), slice(10, 190))
    assert calls(wide) == [(1, 384, 384, 3), (1, 320, 512, 3)]
    assert calls(wide[100:400]) == [(1, 256, 384, 3), (1, 320, 512, 3)]
    assert calls(tall)[:2] == [(1, 384, 192, 3), (1, 512, 192, 3)]


@pytest.mark.parametrize(("grey", "looks"), [(0, 2), (60, 3)])
def test_the_mirror_image_is_looked_at_only_where_the_network_is_in_doubt(grey: int, looks: int) -> None:
    photo = dark_on_white((600, 800), slice(200, 260), slice(300, 420))
    photo[photo == 0] = grey
    assert len(calls(photo, mirror=True)) == looks and len(calls(photo)) == 2


@pytest.mark.parametrize("gpu", [False, True])
def test_a_worker_sees_only_gpus_that_it_was_given_and_takes_their_memory_as_it_needs_it(gpu: bool) -> None:
    hidden, growing = [], []
    config = SimpleNamespace(
        set_visible_devices=lambda devices, kind: hidden.append((devices, kind)),
        list_physical_devices=lambda kind: ["one", "two"],
        experimental=SimpleNamespace(set_memory_growth=lambda device, grows: growing.append((device, grows))),
    )
    assert module._choose_gpus(SimpleNamespace(config=config), gpu) is gpu
    assert hidden == ([] if gpu else [([], "GPU")])
    assert growing == ([("one", True), ("two", True)] if gpu else [])


def test_two_passes_say_how_far_they_agree() -> None:
    photo = dark_on_white((600, 800), slice(100, 300), slice(200, 500))
    twice = darkness_segmenter(256, passes=2)
    [seen] = twice.segment([photo])
    agreement = seen.agreement()
    assert agreement is not None and 0.95 < agreement <= 1
    assert darkness_segmenter(256).segment([photo])[0].agreement() is None
    first_side, darkness = 192, twice._run
    for share in (0.0, 0.5):  # of the darkness that the second pass takes for glasses

        def run(squares: np.ndarray, share: float = share) -> Any:
            weight = 1.0 if max(squares.shape[1:3]) == first_side else share
            return SimpleNamespace(numpy=lambda: weight * darkness(squares).numpy())

        twice._run = run
        assert twice.segment([photo])[0].agreement() == pytest.approx(share, abs=0.02)


def test_two_passes_that_see_nothing_agree() -> None:
    [seen] = darkness_segmenter(256, passes=2).segment([np.full((60, 90, 3), 255, np.uint8)])
    assert seen.agreement() == 1.0
