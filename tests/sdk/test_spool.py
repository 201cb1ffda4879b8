"""One suite for every spool, and what only files can do."""

import errno
import os
import subprocess
import sys

import pytest

from thumbline import FileSpool, MemorySpool
from thumbline._ids import uuid7


class SpoolContract:
    """What every spool does; a subclass says how to `make` one, and the next process's with `make_next`."""

    def test_nothing_to_claim_at_first(self):
        """An empty spool has nothing to deliver."""
        assert self.make().claim() is None

    def test_what_was_appended_is_claimed_once(self):
        """In the order of the calls, and not again."""
        spool = self.make()
        events = [(uuid7(), b'{"n": %d}' % n) for n in range(3)]
        for event_id, data in events:
            assert spool.append(event_id, data, held=False)

        claim = spool.claim()
        assert (events, False, 0) == (list(claim.entries), claim.foreign, claim.corrupt)
        assert spool.claim() is None

    def test_what_is_held_is_not_claimed(self):
        """The process has it in memory."""
        spool = self.make()
        spool.append(uuid7(), b"{}", held=True)

        assert spool.claim() is None

    def test_the_next_process_gets_what_was_not_settled(self):
        """Held or not, claimed or not: what has no verdict is left for the next."""
        spool = self.make()
        for held in (True, False):
            spool.append(uuid7(), b'{"held": %d}' % held, held=held)
        spool.claim()
        spool.append(uuid7(), b'{"held": 2}', held=False)
        spool.close()

        after, found = self.make_next(spool), []
        while claim := after.claim():
            assert claim.foreign
            found += [data for _, data in claim.entries]
        assert sorted(found) == [b'{"held": 0}', b'{"held": 1}', b'{"held": 2}']

    def test_what_is_settled_is_gone(self):
        """Nothing is left for the next process."""
        spool = self.make()
        receipts = [spool.append(uuid7(), b"{}", held=True) for _ in range(3)]
        spool.append(uuid7(), b"{}", held=False)
        for receipt in receipts:
            spool.settle(receipt, 1)
        spool.settle(spool.claim().receipt, 1)
        spool.close()

        assert self.make_next(spool).claim() is None

    def test_an_unknown_receipt_is_nothing(self):
        """Settling what is not there does not fail."""
        self.make().settle("gone", 1)

    def test_a_full_spool_says_so(self):
        """None instead of a receipt; room comes back with the verdicts."""
        spool = self.make(max_bytes=1000)
        receipts = []
        while receipt := spool.append(uuid7(), b"x" * 100, held=True):
            receipts.append(receipt)

        assert 5 <= len(receipts) <= 10
        for receipt in receipts:
            spool.settle(receipt, 1)
        assert spool.append(uuid7(), b"x" * 100, held=True)

    def test_a_child_begins_anew(self):
        """After a fork the child has nothing of the parent's."""
        spool = self.make()
        spool.append(uuid7(), b"{}", held=False)
        spool.after_fork()

        claim = spool.claim()
        assert claim is None or claim.foreign
        assert spool.append(uuid7(), b"{}", held=True)


class TestMemorySpool(SpoolContract):
    def make(self, **options):
        return MemorySpool(**options)

    def make_next(self, spool):
        return spool


class TestFileSpool(SpoolContract):
    @pytest.fixture(autouse=True)
    def directory(self, tmp_path):
        self.path = tmp_path / "spool"

    def make(self, **options):
        return FileSpool(self.path, **options)

    def make_next(self, spool):
        return FileSpool(self.path)

    def leave(self, *contents):
        """A segment of a process that is gone; its path."""
        spool = self.make()
        for content in contents:
            spool.append(uuid7(), content, held=True)
        spool.close()
        (segment,) = self.path.iterdir()
        return segment

    @pytest.mark.parametrize("cut", range(1, 55, 6))
    def test_a_torn_last_line_is_ignored(self, cut):
        """Its call never returned; the ones before are whole."""
        segment = self.leave(b'{"n": 1}', b'{"n": 2}')
        os.truncate(segment, segment.stat().st_size - cut)

        claim = self.make().claim()
        assert ([data for _, data in claim.entries], claim.corrupt) == ([b'{"n": 1}'], 0)

    @pytest.mark.parametrize("damage", [b"\0", b"\xff", b"x", b"\n"])
    @pytest.mark.parametrize("position", [3, 12, 50])
    def test_a_corrupt_line_is_skipped_and_counted(self, damage, position):
        """The lines around it are whole."""
        segment = self.leave(b'{"n": 1}', b'{"n": 2}', b'{"n": 3}')
        content = bytearray(segment.read_bytes())
        place = len(content) // 3 + position
        content[place : place + 1] = damage
        segment.write_bytes(content)

        claim = self.make().claim()
        assert [data for _, data in claim.entries] == [b'{"n": 1}', b'{"n": 3}']
        assert claim.corrupt == (2 if damage == b"\n" else 1)

    @pytest.mark.parametrize("content", [b"", b"\n", b"junk", b"\0" * 5000, b"00000000 x y\n"])
    def test_a_file_of_junk_is_cleared_away(self, content):
        """It does not come up again and again."""
        segment = self.leave(b"{}")
        segment.write_bytes(content)
        spool = self.make()
        claim = spool.claim()

        assert claim is None or not claim.entries
        assert list(self.path.iterdir()) == []

    def test_a_live_process_keeps_its_segments(self):
        """Its lock tells that it is alive, also from within the same process."""
        spool = self.make()
        receipt = spool.append(uuid7(), b"{}", held=True)
        code = "import sys, thumbline; print(thumbline.FileSpool(sys.argv[1]).claim())"

        assert self.make().claim() is None
        done = subprocess.run([sys.executable, "-c", code, str(self.path)], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "None"
        spool.settle(receipt, 1)
        spool.close()
        assert list(self.path.iterdir()) == []

    def test_segments_have_a_size(self):
        """A new one is begun, and each is deleted with its last verdict."""
        spool = self.make(max_segment_bytes=500)
        receipts = [spool.append(uuid7(), b"x" * 100, held=True) for _ in range(9)]

        assert len(set(receipts)) == len(list(self.path.iterdir())) == 3
        for receipt in receipts:
            spool.settle(receipt, 1)
        spool.close()
        assert list(self.path.iterdir()) == []

    def test_half_a_write_leaves_no_half_line(self, monkeypatch):
        """A disk that is full in the middle of a line: that event fails, the next one is readable."""
        spool = self.make()
        spool.append(uuid7(), b'{"n": 1}', held=False)
        write = os.write

        def half(fd, data):
            return write(fd, data[: len(data) // 2])

        monkeypatch.setattr(os, "write", half)
        with pytest.raises(OSError, match="wrote"):
            spool.append(uuid7(), b'{"n": 2}', held=False)
        monkeypatch.setattr(os, "write", write)
        spool.append(uuid7(), b'{"n": 3}', held=False)

        assert [data for _, data in spool.claim().entries] == [b'{"n": 1}', b'{"n": 3}']

    def test_a_full_disk_is_an_error(self, monkeypatch):
        """The caller decides what to do about it."""

        def full(fd, data):
            raise OSError(errno.ENOSPC, "no space")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="no space"):
            self.make().append(uuid7(), b"{}", held=True)

    def test_the_cap_counts_other_processes(self):
        """It is the directory's."""
        self.leave(b"x" * 900)

        assert self.make(max_bytes=1000).append(uuid7(), b"x" * 100, held=True) is None

    def test_links_are_not_followed(self, tmp_path):
        """Somebody else's file is neither read nor deleted."""
        other = tmp_path / "other"
        other.write_bytes(self.leave(b"{}").read_bytes())
        (self.path / "zzz.seg").symlink_to(other)
        spool = self.make()
        while spool.claim():
            pass

        assert other.exists()
