"""Iterators that stand in for those inside a provider's stream: the application sees what it would see without them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from llm_optimizer_client.calls import Call


class Observed:
    """Of a synchronous stream."""

    def __init__(self, inner: Iterator[Any], call: Call) -> None:
        self._inner, self._call = inner, call

    def __iter__(self) -> Observed:
        return self

    def __next__(self) -> Any:
        while True:
            try:
                chunk = next(self._inner)
            except StopIteration:
                self._call.finished()
                raise
            except BaseException as error:
                self._call.failed(error)
                raise
            if self._call.chunk(chunk):
                return chunk

    def close(self) -> None:
        """Read no further."""
        self._call.dropped()
        if hasattr(self._inner, "close"):
            self._inner.close()

    def __del__(self) -> None:
        self._call.dropped()


class AsyncObserved:
    """Of an asynchronous stream."""

    def __init__(self, inner: AsyncIterator[Any], call: Call) -> None:
        self._inner, self._call = inner, call

    def __aiter__(self) -> AsyncObserved:
        return self

    async def __anext__(self) -> Any:
        while True:
            try:
                chunk = await self._inner.__anext__()
            except StopAsyncIteration:
                self._call.finished()
                raise
            except BaseException as error:
                self._call.failed(error)
                raise
            if self._call.chunk(chunk):
                return chunk

    async def aclose(self) -> None:
        """Read no further."""
        self._call.dropped()
        if hasattr(self._inner, "aclose"):
            await self._inner.aclose()

    def __del__(self) -> None:
        self._call.dropped()
