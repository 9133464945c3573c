"""What went wrong, said to the user."""


class Problem(Exception):
    """Something the user can mend: one plain sentence on what is wrong, one on what to do.

    Every door (command line, worker, window) shows the text as it is, without a traceback.
    """
