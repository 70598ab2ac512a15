"""An editor in the browser, for the tests of its page and of its tools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from editordesk import visit, write


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("edit"))


@pytest.fixture
def page(browser: Any, site: Path) -> Iterator[Any]:
    with visit(browser, site.as_uri()) as shown:
        yield shown
