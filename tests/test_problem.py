"""What is said of a file that cannot be read."""

import errno

import pytest

from napari_unet.problem import Problem, reading

DAMAGED = Problem("a.tif is damaged. Copy it again.")


def said(error: BaseException) -> str:
    with pytest.raises(Problem) as told, reading("a.tif", DAMAGED):
        raise error
    return str(told.value)


@pytest.mark.parametrize("kind", [ValueError, KeyError, RuntimeError, OSError])
def test_libraries_tell_a_damaged_file_by_many_kinds_of_error(kind: type[Exception]) -> None:
    assert said(kind("bad magic")) == str(DAMAGED)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL])
def test_what_is_missing_or_something_else_is_damaged(number: int) -> None:
    assert said(OSError(number, "no")) == str(DAMAGED)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_a_disk_or_network_that_fails_says_nothing_against_the_file(number: int) -> None:
    assert said(OSError(number, "no", "b.tif")).startswith("b.tif cannot be read (")
    assert "network" in said(OSError(number, "no"))


def test_a_missing_permission_is_named_with_its_file() -> None:
    assert said(PermissionError(errno.EACCES, "no", "b.tif")).startswith("b.tif may not be read.")
    assert said(PermissionError("no")).startswith("a.tif may not be read.")


def test_a_problem_stays_as_it_is() -> None:
    assert said(Problem("It is red. Paint it.")) == "It is red. Paint it."


def test_a_lack_of_memory_is_no_damage() -> None:
    with pytest.raises(MemoryError), reading("a.tif", DAMAGED):
        raise MemoryError
