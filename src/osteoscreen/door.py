"""The door of a job: an error of our own ends there, and the other jobs go on, if they can."""

from __future__ import annotations

import errno
import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from osteoscreen.errors import InputError, RefusalCode, ServerError

logger = logging.getLogger(__name__)

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What the system says where nothing can be written: no space, no quota, a read-only disk."""


def check_room(error: Exception) -> None:
    """Tell the error of a disk that takes nothing from those that a single job is to blame for.

    Raises: ServerError if it is one: the other jobs could not go on either.
    """
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        place = os.uname().nodename if error.filename is None else os.fspath(error.filename)
        cause = os.strerror(error.errno)
        raise ServerError(f"{place}: the disk must take what is written, got: {cause}") from None


@contextmanager
def door(source: Path | str) -> Iterator[None]:
    """Turn what only a bug of ours could raise into a refusal; the log tells where it was raised.

    The message of such an error may quote a header: only its kind and its place are logged.

    Args:
        source: Path or address of what the job is about.
    Raises:
        InputError: FAILED for any other exception; an InputError passes as it is, and so does a
            ServerError: the other jobs could not go on either.
        ServerError: If the disk takes nothing.
    """
    try:
        yield
    except (InputError, ServerError):
        raise
    except Exception as error:  # noqa: BLE001 - this is the door
        check_room(error)
        kind, frames = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
        logger.error("%r failed with %s at\n%s", os.fspath(source), kind, frames)
        reason = f"internal error ({kind}), see the log"
        raise InputError(RefusalCode.FAILED, reason, source) from None
