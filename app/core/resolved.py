"""Struct types that several threads may read into, safe from their first moment.

msgspec (0.22) looks up the fields of a struct when the first value is read into it, and hands the half-made table to
any other thread that asks meanwhile: a segmentation fault. A type whose values are read by ``msgspec.convert`` in a
thread is therefore resolved where it is defined; building a ``Decoder`` of it, as most modules do, does the same.
"""

from typing import TypeVar

import msgspec

T = TypeVar("T")


def resolved(kind: type[T]) -> type[T]:
    """``kind``, a decorator: the fields of it and of every struct inside it are known from now on."""
    msgspec.json.Decoder(kind)
    return kind
