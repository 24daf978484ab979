"""Memory that is shared with forked processes for as long as nobody writes to it: then the whole page is copied."""

from __future__ import annotations

import ctypes
import os

#: From the largest hole to the smallest, in bytes.
_SIZES = (*(2**power for power in range(16, 10, -1)), *range(1024, 0, -16))
#: `M_ARENA_MAX` of mallopt(3).
_ARENA_MAX = -8


class _HeapInfo(ctypes.Structure):
    """`struct mallinfo2` of the GNU C library; see mallinfo(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def fill_holes() -> None:
    """Take whatever lies free between other things in the C heap, and never use it. For a process with one thread.

    A child that got such a piece would copy the whole page around it; SQLite asks for hundreds when it opens a database.
    As it is, what a child asks for comes from new pages, and lies close together, for all of its threads. Elsewhere than with
    glibc 2.33 or newer this does nothing.
    """
    try:
        library = ctypes.CDLL(None)
        heap_info = library.mallinfo2
    except (OSError, AttributeError):
        return
    heap_info.restype = _HeapInfo
    library.sbrk.restype = library.malloc.restype = ctypes.c_void_p
    library.sbrk.argtypes = [ctypes.c_ssize_t]
    library.malloc.argtypes = [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    library.malloc_trim.argtypes = [ctypes.c_size_t]
    if "MALLOC_ARENA_MAX" not in os.environ:  # else each thread gets a heap of its own, which nobody else fills
        library.mallopt(_ARENA_MAX, 1)
    library.malloc_trim(0)  # whole pages that are free are nobody's from here on
    end = library.sbrk(0) - heap_info().keepcost
    for size in _SIZES:
        while (piece := library.malloc(size)) is not None and piece < end:
            pass  # it is ours now
        library.free(piece)
