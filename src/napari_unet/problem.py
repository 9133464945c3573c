"""What went wrong, said to the user."""


class Problem(Exception):
    """Something the user can mend: one plain sentence on what is wrong, one on what to do.

    Every door (command line, worker, window) shows the text as it is, without a traceback.
    """


def forbidden(path: object) -> Problem:
    """Return what to say of a file or folder for which the permission is missing."""
    return Problem(f"{path} may not be read. Ask its owner for permission, or for a copy.")
