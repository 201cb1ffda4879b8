from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collector.conftest import make_app
from tests.statuspage.site import Site

__all__ = ["make_app"]


@pytest.fixture
def site(home: Path) -> Iterator[Callable[..., Site]]:
    """Make a site in a fresh home; its processes are ended with the test."""
    made: list[Site] = []

    def make(**settings: Any) -> Site:
        made.append(Site(home, settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def busy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with a loader and the page, for the tests of one file, which may say how many workers collect."""
    home = tmp_path_factory.mktemp("busy") / "home"
    home.mkdir()
    one = Site(home)
    one.collect(workers=getattr(request.module, "WORKERS", 1))
    one.load()
    one.page()
    yield one
    one.close()
