"""What went wrong, said to the user."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

# What the system says of a file that is not there, or not what it was taken for.
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ENAMETOOLONG)


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


def told_by(error: Exception, path: object, otherwise: Problem) -> Problem:
    """Return what to say of an error in reading: it is `otherwise`, unless the system does not let it be read.

    That says nothing against the file; libraries tell a damaged one by many kinds of error. A Problem stays as it is.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, OSError) and (isinstance(error, PermissionError) or error.errno not in (None, *_NOT_THERE)):
        return unreadable(error.filename or path, error)
    return otherwise


@contextmanager
def reading(path: object, otherwise: Problem) -> Iterator[None]:
    """Raise what `told_by` says of an error inside; a lack of memory is raised as it is."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        problem = told_by(error, path, otherwise)
        raise problem from (None if problem is error else error)
