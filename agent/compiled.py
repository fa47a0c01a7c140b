"""Turns a function over arrays into machine code, and keeps that for the next run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.extending import intrinsic

Part = Any
"""A type, a value or a builder of numba and of LLVM."""
_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function at its first call.

    Every index is checked as in Python: what lies in a log must never lead out of an array. Python
    goes on meanwhile, so a block is cut while the one before it is grouped.
    """
    try:
        made = numba.njit(function, cache=True, nogil=True, boundscheck=True)
    except RuntimeError:
        # Nowhere to keep it: a service that has no home, in a folder that is not its own.
        made = numba.njit(function, nogil=True, boundscheck=True)
    return cast("_Function", made)


def generated(function: Callable[..., Part]) -> Part:
    """Let compiled functions call what a function writes in the words of LLVM."""
    return intrinsic(function)


def inner(function: _Function) -> _Function:
    """Compile a function that only compiled ones call: without what Python would call it by.

    It makes no arrays. So it need not count who holds those that it is given, which took ten times
    as long as to look up a key: processors count in turn.
    """
    return cast("_Function", numba.njit(function, nogil=True, boundscheck=True, **_UNSEEN))


_UNSEEN: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}
