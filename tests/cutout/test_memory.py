"""How much memory the making of a picture takes beyond its photo, in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# Peak memory in bytes a pixel, of the photo or of its picture if that is larger, for each of the looks below.
ATTEMPT = r"""
import json, pathlib, re, sys
import cv2
import numpy as np
from glasseg.cutout import picture
from glasseg.cutout.correction import KEEP, UNTOUCHED, Correction
from glasseg.cutout.framing import Framing
from glasseg.cutout.look import Look
from glasseg.images.decoder import Photo
from glasseg.images.tags import Tags
from glasseg.images.window import Window
from glasseg.model.folder import ModelSpec
from glasseg.model.letterbox import letterbox
from glasseg.model.quality import FEATURES, Calibration
from glasseg.model.segmentation import Segmentation

LOOKS = {
    "white": Look(),
    "transparent": Look("transparent"),
    "framed": Look(framing=Framing(frame=(1, 1), fill=0.85)),
    "sized": Look(framing=Framing(frame=(1, 1), fill=0.85, size=2000)),
    "straightened": Look(framing=Framing(straighten=True)),
}
quality = Calibration(FEATURES, (0.0,) * 7, (1.0,) * 7, (0.1,) * 7, 0.0, 0.5)
model = ModelSpec("compact", 512, "letterbox", 2, 0.45, 0.4, "", quality=quality.to_dict())

def in_kb(field):
    return int(re.search(field + r":\s*(\d+)", pathlib.Path("/proc/self/status").read_text())[1])

def made(height, width, look):
    image = np.full((height, width, 3), (200, 205, 210), np.uint8)
    small, box = letterbox(image, 512)
    if sys.argv[1] == "undecided":
        found = np.full(small.shape[:2], 0.45, np.float32)
    else:
        rims = np.zeros(small.shape[:2], np.uint8)
        for x in (150, 362):
            cv2.ellipse(rims, (x, 256), (100, 90), 2, 0, 360, 255, 18, cv2.LINE_AA)
        found = cv2.GaussianBlur(rims, (0, 0), 1.5).astype(np.float32) / 255
    seen = Segmentation(found, box, Window.whole(image.shape), (found, box))
    correction = None
    if sys.argv[1] == "corrected":
        labels = np.full((height * 2 // 5, width * 2 // 5), UNTOUCHED, np.uint8)
        cv2.line(labels, (0, 0), labels.shape[::-1], KEEP, 9)
        correction = Correction(labels)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is held
    before = in_kb("VmRSS")
    one = picture.compose(Photo(image, None, Tags(), ()), seen, model, look, correction)
    return (in_kb("VmHWM") - before) * 1024 / max(one.alpha.size, height * width)

cv2.setNumThreads(1)
peaks = {}
for name, look in LOOKS.items():
    made(300, 400, look)
    peaks[name] = made(3000, 4000, look)
print(json.dumps(peaks))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a peak that can be reset")
@pytest.mark.parametrize("kind", ["glasses", "undecided"])
def test_a_picture_takes_ten_bytes_a_pixel(kind: str) -> None:
    done = subprocess.run([sys.executable, "-c", ATTEMPT, kind], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    peaks = json.loads(done.stdout)
    assert len(peaks) == 5 and 5 < max(peaks.values()) < 10, peaks


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a peak that can be reset")
def test_a_correction_all_over_a_photo_takes_eighteen_bytes_a_pixel() -> None:
    done = subprocess.run([sys.executable, "-c", ATTEMPT, "corrected"], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    peaks = json.loads(done.stdout)
    assert 10 < max(peaks.values()) < 18, peaks
