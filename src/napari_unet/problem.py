"""What went wrong, said to the user."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

# What the system says of a file that is not there, or not what it was taken for.
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL)


class Problem(Exception):
    """Something the user can mend: one plain sentence on what is wrong, one on what to do.

    Every door (command line, worker, window) shows the text as it is, without a traceback.
    """


def forbidden(path: object) -> Problem:
    """Return what to say of a file or folder for which the permission is missing."""
    return Problem(f"{path} may not be read. Ask its owner for permission, or for a copy.")


def unreadable(path: object, error: OSError) -> Problem:
    """Return what to say of a file or folder that is there, which the system cannot or does not read."""
    if isinstance(error, PermissionError):
        return forbidden(path)
    what = os.strerror(error.errno) if error.errno else error
    return Problem(f"{path} cannot be read ({what}). Check the disk and the network, then try again.")


@contextmanager
def reading(path: object, otherwise: Problem) -> Iterator[None]:
    """Say in words why what is read inside cannot be read.

    Where the system does not let it be read, that says nothing against the file; any other error, and libraries tell
    a damaged file by many kinds of it, is `otherwise`. A Problem is raised as it is, and so is a lack of memory.
    """
    try:
        yield
    except (Problem, MemoryError):
        raise
    except PermissionError as error:
        raise forbidden(error.filename or path) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, *_NOT_THERE):
            raise unreadable(error.filename or path, error) from error
        raise otherwise from error
