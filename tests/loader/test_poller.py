"""The poller tells of every assignment, also of one that follows at once on another."""

from __future__ import annotations

from collections.abc import Mapping

from thumbline_ingest.loader.poller import Poller
from thumbline_ingest.log import Polled


class Rebalancing:
    """A reader whose partition is taken and given back within the poll that follows each of the first seeks."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.fresh = frozenset({0})
        self.sought = False

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        if self.sought and self.times:
            self.times -= 1
            self.fresh = frozenset({0})
        self.sought = False
        return Polled(assigned=frozenset({0}), newly_assigned=self.fresh)

    def seek(self, positions: Mapping[int, int]) -> None:
        self.fresh = frozenset()
        self.sought = True

    def landed(self, positions: Mapping[int, int]) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_partition_given_back_at_once_is_told_again() -> None:
    poller = Poller(lambda: Rebalancing(3), lambda error: None)
    poller.start()
    told = 0
    while polled := poller.get(1):
        assert polled.newly_assigned == {0}
        told += 1
        poller.seek({0: 0})
    poller.close()
    assert told == 4
