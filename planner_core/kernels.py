"""Compiled code on disk is dropped when any source it may have been made from is newer.

numba looks at the file of the function it compiled and not at those of the functions that one
calls, so an update of some files would leave old code at work, in proofs too.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def drop_stale_kernels(package: Path = PACKAGE) -> int:
    """Remove the index files of compiled code older than the newest source with compiled code.

    Returns
    -------
    int
        How many were removed. Where nothing may be removed, nothing is.
    """
    newest = max(
        (
            path.stat().st_mtime
            for path in package.rglob("*.py")
            if "from numba import" in path.read_text(encoding="utf-8")
        ),
        default=0.0,
    )
    dropped = 0
    for index in package.rglob("__pycache__/*.nbi"):
        try:
            if index.stat().st_mtime < newest:
                index.unlink()
                dropped += 1
        except OSError:  # another process was faster, or the folder is read-only
            continue
    return dropped
