"""Colours come out as the profile says, and what is sRGB already stays untouched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import iccprofiles as icc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasseg.images import profiles

SPACES = {"Adobe RGB": icc.ADOBE_RGB, "Display P3": icc.DISPLAY_P3, "ProPhoto": icc.PROPHOTO}


def patches(channels: int, count: int = 4000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count // 50, 50, channels), dtype=np.uint8)


@pytest.mark.parametrize("space", SPACES)
def test_colours_agree_with_the_published_primaries(space: str) -> None:
    pixels = patches(3)
    converted = profiles.to_srgb(pixels, icc.matrix_profile(SPACES[space]))
    difference = np.abs(converted - icc.rgb_to_srgb(pixels, SPACES[space]))
    assert difference.mean() < 0.5 and difference.max() < 3


def test_white_and_black_stay_white_and_black() -> None:
    ends = np.array([[[255] * 3, [0] * 3]], np.uint8)
    for space in SPACES.values():
        assert np.array_equal(profiles.to_srgb(ends, icc.matrix_profile(space)), ends)
    assert profiles.to_srgb(np.zeros((1, 1, 4), np.uint8), icc.cmyk_profile()).tolist() == [[[255] * 3]]
    assert profiles.to_srgb(np.array([[255]], np.uint8), icc.grey_profile(1.4)).tolist() == [[[255] * 3]]


def test_inks_agree_with_the_press() -> None:
    inks = patches(4) // 2  # what the press prints with these lies within sRGB for the most part
    difference = np.abs(profiles.to_srgb(inks, icc.cmyk_profile()) - icc.cmyk_to_srgb(inks))
    assert difference.mean() < 1 and np.quantile(difference, 0.99) < 3


def test_grey_of_another_gamma_becomes_grey_of_srgb() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    difference = np.abs(profiles.to_srgb(ramp, icc.grey_profile(1.4)) - icc.grey_to_srgb(ramp, 1.4))
    assert difference.max() < 2


def test_a_profile_that_moves_nothing_leaves_the_very_pixels() -> None:
    pixels = patches(3)
    assert profiles.to_srgb(pixels, icc.matrix_profile(icc.SRGB)) is pixels


def test_a_profile_is_judged_by_its_effect_and_not_by_its_name() -> None:
    # The descriptions of all test profiles are the same.
    pixels = patches(3)
    assert not np.array_equal(profiles.to_srgb(pixels, icc.matrix_profile(icc.DISPLAY_P3)), pixels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_profile_for_other_pixels_is_refused(channels: int) -> None:
    made = {1: icc.grey_profile(2.2), 3: icc.matrix_profile(icc.ADOBE_RGB), 4: icc.cmyk_profile()}
    pixels = patches(channels)[..., 0] if channels == 1 else patches(channels)
    for kind, profile in made.items():
        if kind != channels:
            with pytest.raises(profiles.ProfileError, match="is for"):
                profiles.to_srgb(pixels, profile)


@given(st.data())
def test_a_damaged_profile_converts_or_is_refused_and_nothing_else(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([icc.matrix_profile(icc.ADOBE_RGB), icc.grey_profile(1.8), icc.cmyk_profile()]))
    broken = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for place in data.draw(st.lists(st.integers(0, max(0, len(broken) - 1)), max_size=5)) if broken else []:
        broken[place] = data.draw(st.integers(0, 255))
    for pixels in (patches(3)[..., 0], patches(3), patches(4)):
        try:
            converted = profiles.to_srgb(np.ascontiguousarray(pixels), bytes(broken))
        except profiles.ProfileError:
            continue
        assert converted.shape == (*pixels.shape[:2], 3) and converted.dtype == np.uint8


def test_threads_that_share_a_profile_do_not_disturb_each_other() -> None:
    profile = icc.matrix_profile(icc.PROPHOTO)
    photos = [patches(3, 200_000, seed) for seed in range(8)]
    expected = [profiles.to_srgb(photo, profile) for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        converted = list(pool.map(lambda photo: profiles.to_srgb(photo, profile), photos * 3))
    assert all(np.array_equal(a, b) for a, b in zip(converted, expected * 3, strict=True))


def test_bands_leave_no_seam() -> None:
    pixels = np.repeat(patches(3, 50), 2000, axis=0).repeat(30, axis=1)  # 2000×1500, more than one band
    converted = profiles.to_srgb(pixels, icc.matrix_profile(icc.ADOBE_RGB))
    assert (converted == converted[:1]).all()
