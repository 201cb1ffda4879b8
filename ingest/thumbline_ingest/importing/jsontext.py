"""JSON Lines and JSON arrays, read piece by piece, so that one broken value costs no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any, Final

from .refused import Refused
from .rows import Row

# A record may hold a whole chat with its pictures; what is larger than this is no record.
MAX_RECORD_BYTES: Final = 64 * 1024 * 1024
_CHUNK: Final = 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\r\n"
# A whole string, or the start of one that goes on beyond what was read, or a bracket.
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|(\\?\Z))|[\[{]|[\]}]', re.DOTALL)
_BETWEEN: Final = re.compile(rb"[ \t\r\n,]*")
_SCALAR: Final = re.compile(rb"[^ \t\r\n,\[\]{}\"]+")


def read_lines(file: IO[bytes], name: str) -> Iterator[Row]:
    r"""
    The values of JSON Lines; empty lines are none.

        b'{"a": 1}\n\n{"a": \n'  ->  Row("f:1", {"a": 1}), Row("f:3", problem: is not valid JSON)
    """
    for number, (line, is_whole) in enumerate(_lines(file), 1):
        raw = line.removeprefix(_BOM) if number == 1 else line
        if not raw.strip(_SPACE):
            continue
        place = f"{name}:{number}"
        yield _row(place, raw) if is_whole else Row(place, problem=_too_large())


def read_values(file: IO[bytes], name: str) -> Iterator[Row]:
    r"""
    The elements of a JSON array, or JSON values one after another (also over several lines each).

        b'[{"a": 1},\n {"a": 2}]'  ->  Row("f:1", {"a": 1}), Row("f:2", {"a": 2})
    """
    cutter = _Cutter(file)
    for raw, line in cutter.values():
        yield _row(f"{name}:{line}", raw)
    if cutter.problem is not None:
        yield Row(f"{name}:{cutter.line}", problem=cutter.problem)


def decode(raw: bytes) -> Any:
    """
    One JSON value, read with Python's tolerance: NaN and half characters are left to the contract's check.

    Raises:
        Refused: it is no JSON, no UTF-8, too deep, or has a key twice in one object.
    """
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_object)
    except UnicodeDecodeError:
        raise Refused("", "is not valid UTF-8") from None
    except RecursionError:
        raise Refused("", "is nested too deep") from None
    except ValueError as error:
        # Its words hold no value, only what is expected where.
        where = f": {error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        raise Refused("", f"is not valid JSON{where}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Refused("", "has a key twice in one object")
    return made


def _row(place: str, raw: bytes) -> Row:
    try:
        return Row(place, decode(raw))
    except Refused as problem:
        return Row(place, problem=problem)


def _too_large() -> Refused:
    return Refused("", f"is larger than {MAX_RECORD_BYTES // (1024 * 1024)} MiB")


def _lines(file: IO[bytes]) -> Iterator[tuple[bytes, bool]]:
    while line := file.readline(MAX_RECORD_BYTES):
        is_whole = len(line) < MAX_RECORD_BYTES or line.endswith(b"\n")
        yield line, is_whole
        while not is_whole:
            rest = file.readline(MAX_RECORD_BYTES)
            is_whole = not rest or rest.endswith(b"\n")


class _Cutter:
    """Finds where the values of an array begin and end, without reading them."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._held = file.read(_CHUNK).removeprefix(_BOM)
        # Where the next value begins in what is held.
        self._at = 0
        self._stop = 0
        self.problem: Refused | None = None
        self.line = 1

    def values(self) -> Iterator[tuple[bytes, int]]:
        """Each value's bytes and the line on which it begins."""
        is_array = self._enter()
        while True:
            self._pass(self._skip(_BETWEEN))
            first = self._held[self._at : self._at + 1]
            if not first or (is_array and first == b"]"):
                if is_array and not first:
                    self.problem = Refused("", "the array has no end: the file is cut short")
                return
            if not self._find_end(first):
                return
            yield self._held[self._at : self._stop], self.line
            self._pass(self._stop)

    def _enter(self) -> bool:
        self._pass(self._skip(_BETWEEN))
        if self._held[self._at : self._at + 1] != b"[":
            return False
        self._at += 1
        return True

    def _find_end(self, first: bytes) -> bool:
        """Set `_stop` to where the value ends that begins here; False where that cannot be found."""
        if first in b"]}":
            self.problem = Refused("", "a bracket closes what was never opened; the rest of the file cannot be read")
            return False
        if first not in b'[{"':
            self._stop = self._skip(_SCALAR)
            return self.problem is None
        depth, position = 0, self._at
        while True:
            match = _TOKEN.search(self._held, position)
            if match is None or match[1] is not None:
                done = (len(self._held) if match is None else match.start()) - self._at
                if not self._more():
                    self.problem = self.problem or Refused(
                        "", "a value has no end; the rest of the file cannot be read"
                    )
                    return False
                position = self._at + done
                continue
            token = match[0]
            depth += (token in b"[{") - (token in b"]}")
            position = match.end()
            if depth <= 0:
                self._stop = position
                return True

    def _skip(self, pattern: re.Pattern[bytes]) -> int:
        done = 0
        while True:
            match = pattern.match(self._held, self._at + done)
            done = done if match is None else match.end() - self._at
            if self._at + done < len(self._held) or not self._more():
                return self._at + done

    def _more(self) -> bool:
        """Read on, and let go of what lies before the value."""
        self._held = self._held[self._at :]
        self._at = 0
        if len(self._held) > MAX_RECORD_BYTES:
            self.problem = Refused("", f"{_too_large().message}; the rest of the file cannot be read")
            return False
        # As much again each time: a long string is looked through from its start.
        chunk = self._file.read(max(_CHUNK, len(self._held)))
        self._held += chunk
        return bool(chunk)

    def _pass(self, position: int) -> None:
        self.line += self._held.count(b"\n", self._at, position)
        self._at = position
