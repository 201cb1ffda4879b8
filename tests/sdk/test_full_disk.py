"""The spool's disk full and free again: what was kept is kept, and what was not is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.disks import KINDS, Disk, small_disk
from thumbline.spool import FileSpool, Spool


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    with small_disk(request.param, tmp_path / "disk", 8) as made:
        yield made


def kept(spool: Spool, number: int) -> bool:
    try:
        return spool.append(f"id-{number}", b'{"n":%d,"text":"%s"}' % (number, b"x" * 2_000), held=True) is not None
    except OSError:
        return False


def claimed(spool: Spool) -> list[str]:
    found: list[str] = []
    while (claim := spool.claim()) is not None:
        assert claim.corrupt == 0
        found += [event_id for event_id, _ in claim.entries]
        spool.settle(claim.receipt, len(claim.entries))
    return found


def test_what_was_kept_before_and_after_a_full_disk_is_all_there_and_nothing_torn(disk: Disk) -> None:
    folder = disk.folder / "spool"
    with closing(FileSpool(folder)) as spool:
        before = [number for number in range(100) if kept(spool, number)]
        assert len(before) == 100
        disk.fill()
        during = [number for number in range(100, 400) if kept(spool, number)]
        assert len(during) < 300
        disk.free_again()
        after = [number for number in range(400, 500) if kept(spool, number)]
        assert len(after) == 100
    with closing(FileSpool(folder)) as spool:
        assert sorted(claimed(spool)) == sorted(f"id-{number}" for number in (*before, *during, *after))


def test_a_spool_that_begins_on_a_full_disk_keeps_events_when_there_is_room(disk: Disk) -> None:
    disk.fill()
    with closing(FileSpool(disk.folder / "spool")) as spool:
        assert not kept(spool, 1)
        disk.free_again()
        assert kept(spool, 2)
    with closing(FileSpool(disk.folder / "spool")) as spool:
        assert claimed(spool) == ["id-2"]
