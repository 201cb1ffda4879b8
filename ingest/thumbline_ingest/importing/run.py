"""The import: read, map, check, append, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from thumbline_ingest.log.base import LogUnavailable, LogWriter
from thumbline_ingest.log.base import Record as LogRecord

from .events import EventMaker, MadeEvent, Stamp
from .files import InputFile
from .maps import Source
from .record import Record, listed
from .refused import NotImportable, Refused
from .report import Report
from .rows import Row
from .seen import Seen

# Of one append: each is a commit. Below the largest request that the collector passes on.
_CHUNK_EVENTS: Final = 1_000
_CHUNK_BYTES: Final = 4 * 1024 * 1024
_TRIES: Final = 5


class Checked(NamedTuple):
    """
    An event that the contract takes.

    Attributes:
        record: what goes into the log.
        changed: fields that are not as the source has them.
    """

    record: LogRecord
    changed: frozenset[str]


Verdict: TypeAlias = Checked | str
Check: TypeAlias = Callable[[list[bytes]], list[Verdict]]
"""The contract's check of events as JSON: for each what goes into the log, or what is wrong with it."""


@dataclass
class _Pending:
    """
    A record that waits for its check.

    Attributes:
        place: where it stands.
        events: what it says.
    """

    place: str
    events: list[MadeEvent]


@dataclass(frozen=True)
class _Ready:
    """
    An event that goes into the log.

    Attributes:
        owner: the record that it is of.
        kind: its kind.
        record: what is written.
        changed: its fields that are not as the source has them.
    """

    owner: _Pending
    kind: str
    record: LogRecord
    changed: frozenset[str]


@dataclass
class _Chunk:
    """Records that are checked and appended together."""

    pending: list[_Pending] = field(default_factory=list)
    events: int = 0
    bytes: int = 0

    def add(self, one: _Pending) -> None:
        self.pending.append(one)
        self.events += len(one.events)
        self.bytes += sum(len(event.data) for event in one.events)

    @property
    def is_full(self) -> bool:
        return self.events >= _CHUNK_EVENTS or self.bytes >= _CHUNK_BYTES


class Importer:
    """
    Takes files into the log.

    Args:
        source: the map.
        stamp: what all events share.
        check: the contract's check.
        writer: the log's end; None to try without writing.
    """

    def __init__(self, source: Source, stamp: Stamp, check: Check, writer: LogWriter | None) -> None:
        self._source = source
        self._check = check
        self._writer = writer
        self._seen = Seen()
        self._maker = EventMaker(stamp, self._seen.count)
        self._read = 0
        self.report = Report()

    def run(self, files: Iterable[InputFile]) -> Report:
        """
        Take all that can be taken; what was taken before an error stays.

        Raises:
            LogUnavailable: the log takes nothing now.
        """
        chunk = _Chunk()
        try:
            for row in _records(self._source, files):
                made = self._made(row)
                if made is None:
                    continue
                chunk.add(made)
                if chunk.is_full:
                    self._take(chunk)
                    chunk = _Chunk()
            self._take(chunk)
        finally:
            self._seen.close()
        return self.report

    def _made(self, row: Row) -> _Pending | None:
        """The events of a row; None where it has none, or is refused."""
        self._read += 1
        try:
            if row.problem is not None:
                raise row.problem
            if not isinstance(row.value, dict):
                raise Refused("", "must be an object")
            drafts = self._source.drafts(Record(row.value, self._source.options.columns))
            events = self._maker.make(drafts, self._read)
        except Refused as why:
            self.report.refuse(str(why), row.place)
            return None
        except RecursionError:
            self.report.refuse("record: is nested too deep", row.place)
            return None
        if not events:
            self.report.empty += 1
            return None
        return _Pending(row.place, events)

    def _take(self, chunk: _Chunk) -> None:
        verdicts = iter(self._check([event.data for one in chunk.pending for event in one.events]))
        ready: list[_Ready] = []
        accepted = 0
        for one in chunk.pending:
            found = [next(verdicts) for _ in one.events]
            why = self._problem(one, found)
            if why is not None:
                self.report.refuse(why, one.place)
                continue
            accepted += 1
            ready += self._fresh(one, found)
        # Counted when they are on disk, not before.
        refused = self._append(ready)
        self.report.taken += accepted
        self.report.events.update(one.kind for one in ready)
        self.report.changed.update(f"{event.kind} {name}" for event in ready for name in sorted(event.changed))
        self._note_refused(refused)

    def _problem(self, one: _Pending, verdicts: list[Verdict]) -> str | None:
        """Why a record cannot be taken; a part of it alone would be worse than nothing."""
        said: dict[str, str] = {}
        for event, verdict in zip(one.events, verdicts, strict=True):
            if isinstance(verdict, str):
                return f"{event.kind} {verdict}"
            agrees = said.setdefault(event.event_id, event.said) == event.said
            if not agrees or self._seen.meet(event.event_id, event.said) == "other":
                return f"{event.kind} id: another one has it, with other content"
        return None

    def _fresh(self, one: _Pending, verdicts: list[Verdict]) -> Iterator[_Ready]:
        for event, verdict in zip(one.events, verdicts, strict=True):
            if isinstance(verdict, str) or self._seen.meet(event.event_id, event.said) == "same":
                self.report.again += 1
                continue
            self._seen.add(event.event_id, event.said)
            yield _Ready(one, event.kind, verdict.record, verdict.changed)

    def _append(self, ready: list[_Ready]) -> list[tuple[_Ready, str]]:
        """Put events into the log; returns those that it will never take, and why."""
        refused: list[tuple[_Ready, str]] = []
        if self._writer is None:
            return refused
        for attempt in range(_TRIES):
            if not ready:
                return refused
            try:
                appended = self._writer.append([one.record for one in ready])
            except LogUnavailable as error:
                if attempt == _TRIES - 1:
                    raise
                # It is not known what is in the log now; what comes twice lands once.
                time.sleep(error.retry_after_s)
                continue
            refused += [(ready[index], why) for index, why in appended.refused.items()]
            ready = [ready[index] for index in appended.failed]
        if ready:
            raise LogUnavailable(f"the log has not taken {len(ready)} events")
        return refused

    def _note_refused(self, refused: list[tuple[_Ready, str]]) -> None:
        # One record may have several events there; what of it is in the log already is no harm.
        self.report.events.subtract(one.kind for one, _ in refused)
        for one, why in {id(one.owner): (one, why) for one, why in refused}.values():
            self.report.taken -= 1
            self.report.refuse(f"{one.kind} refused by the log: {why}", one.owner.place)


def check_columns(source: Source, file: InputFile) -> None:
    """
    See that a table has the columns that its map needs.

    Raises:
        NotImportable: one is missing; with those that are there.
    """
    if file.columns is None:
        return
    columns = source.options.columns
    wanted = [columns.get(name, name) for name in source.needed(file.columns)]
    wanted += [column for column in columns.values() if column not in wanted]
    missing = [column for column in wanted if not {column, column.partition(".")[0]} & set(file.columns)]
    if missing:
        hint = "; rename with --field NAME=COLUMN" if source.optional else ""
        raise NotImportable(
            f"{file.path}: no column '{missing[0]}' for map '{source.name}'; there are: {listed(file.columns)}{hint}"
        )


def _records(source: Source, files: Iterable[InputFile]) -> Iterator[Row]:
    """The rows of all files, those that hold several records taken apart."""
    for file in files:
        for row in file.rows():
            if row.problem is not None:
                yield row
                continue
            for value in source.split(row.value):
                yield Row(row.place, value)
