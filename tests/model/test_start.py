"""What setting up a model quickly leaves behind in its process."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from glasseg.model.start import quick_start

CODE = """
import gc, sys
from glasseg.model.start import quick_start
with quick_start():
    import keras
    assert not gc.isenabled()
assert gc.isenabled() and gc.get_freeze_count() > 100_000
print(any(name.startswith("matplotlib.") for name in sys.modules))
import matplotlib.pyplot
"""


def test_keras_comes_without_matplotlib_which_can_be_imported_later() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


def test_garbage_is_collected_again_after_a_start_that_failed() -> None:
    with pytest.raises(ValueError, match="no such model"), quick_start():
        raise ValueError("no such model")
    assert gc.isenabled()
