"""What went wrong, said to the user."""


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
    return Problem(f"{path} cannot be read ({error.strerror}). Check the disk and the network, then try again.")
