"""Streams that record what came through them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._record import remember

if TYPE_CHECKING:
    from types import TracebackType

    from ..handles import Answer
    from ._record import Call
    from ._replies import Cut


class Watched:
    """
    Stands for a stream of the package `openai`, also before `isinstance`, and has all that it has.

    However it ends, it is recorded once: when it was read to its end, broke off, was closed, or was let go of.
    """

    def __init__(self, stream: Any, call: Call) -> None:
        self._stream = stream
        self._call = call
        self._pieces = call.dialect.pieces()
        self._is_over = False
        self._first_ms: float | None = None
        self._last_ms = 0.0

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":  # half made: by `copy` or `pickle`
            raise AttributeError(name)
        return getattr(self._stream, name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._stream)

    def __del__(self) -> None:
        if "_last_ms" in self.__dict__:
            self._end("closed")

    def known_answer(self, choice: int) -> Answer:
        """The handle of an answer; without an id until a chunk has told it."""
        return self._call.answer(self._pieces.id or "", choice)

    def _take(self, chunk: Any) -> None:
        if self._is_over:
            return
        try:
            self._last_ms = self._call.passed_ms()
            if self._pieces.take(chunk) and self._first_ms is None:
                self._first_ms = self._last_ms
        except Exception as error:  # noqa: BLE001 - that is the promise
            self._is_over = True  # what is counted as lost is not recorded by halves
            self._call.recorder.failed(error)

    def _end(self, cut: Cut) -> None:
        if self._is_over:
            return
        self._is_over = True
        try:
            first = {} if self._first_ms is None else {"time_to_first_token_ms": self._first_ms}
            self._call.record(self._pieces.reply, self._last_ms, first, cut)
        except Exception as error:  # noqa: BLE001 - that is the promise
            self._call.recorder.failed(error)

    def _broke_off(self, error: BaseException) -> None:
        is_end = isinstance(error, StopIteration | StopAsyncIteration)
        # What is no `Exception` is the host's own: a cancelled task, Ctrl-C.
        self._end("unfinished" if is_end else "error" if isinstance(error, Exception) else "closed")


class WatchedStream(Watched):
    """A stream of a sync client."""

    def __iter__(self) -> WatchedStream:
        return self

    def __next__(self) -> Any:
        try:
            chunk = next(self._stream)
        except BaseException as error:
            self._broke_off(error)
            raise
        self._take(chunk)
        return chunk

    def __enter__(self) -> WatchedStream:
        self._stream.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        try:
            return self._stream.__exit__(kind, error, trace)
        finally:
            self._end("closed")

    def close(self) -> Any:
        try:
            return self._stream.close()
        finally:
            self._end("closed")


class WatchedAsyncStream(Watched):
    """A stream of an async client."""

    def __aiter__(self) -> WatchedAsyncStream:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await self._stream.__anext__()
        except BaseException as error:
            self._broke_off(error)
            raise
        self._take(chunk)
        return chunk

    async def __aenter__(self) -> WatchedAsyncStream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        try:
            return await self._stream.__aexit__(kind, error, trace)
        finally:
            self._end("closed")

    async def close(self) -> Any:
        try:
            return await self._stream.close()
        finally:
            self._end("closed")

    async def aclose(self) -> None:
        await self.close()


def watched(stream: Any, call: Call) -> Any:
    """
    A stream that records itself; None where that is none.

    Args:
        stream: what the call returned.
        call: the call.
    """
    if hasattr(type(stream), "__next__"):
        return WatchedStream(stream, call)
    if hasattr(type(stream), "__anext__"):
        return WatchedAsyncStream(stream, call)
    return None


class Helper:
    """
    Stands for what `.stream()` returns: a context manager over a stream of events, which it reads from ours.

    Args:
        manager: the package's.
        opened: gets the watched streams that are opened for it.
    """

    def __init__(self, manager: Any, opened: list[Any]) -> None:
        self._manager = manager
        self._opened = opened

    def __getattr__(self, name: str) -> Any:
        if name == "_manager":
            raise AttributeError(name)
        return getattr(self._manager, name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._manager)

    def __enter__(self) -> Any:
        return self._known(self._manager.__enter__())

    def __exit__(self, *error: Any) -> Any:
        try:
            return self._manager.__exit__(*error)
        finally:
            self._end()

    async def __aenter__(self) -> Any:
        return self._known(await self._manager.__aenter__())

    async def __aexit__(self, *error: Any) -> Any:
        try:
            return await self._manager.__aexit__(*error)
        finally:
            self._end()

    def _known(self, events: Any) -> Any:
        for stream in self._opened:
            remember(events, stream.known_answer)
        return events

    def _end(self) -> None:
        for stream in self._opened:
            stream._end("closed")
