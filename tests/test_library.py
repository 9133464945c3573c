"""The user's own folder lists models newest first, and never gives a name that is taken."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.card import MODEL_FILE, bundled, find
from napari_unet.disk import lock
from napari_unet.library import HOME, Library, file_name, free, library


def a_run(root: Path, name: str, age: float) -> Path:
    """Put a model that is `age` seconds old into a run folder."""
    folder = Library(root).runs / name
    folder.mkdir(parents=True)
    file = folder / MODEL_FILE
    file.write_bytes(find("em-membrane").read_bytes())
    os.utime(file, (time.time() - age,) * 2)
    return folder


def test_the_library_is_in_the_home_folder_unless_another_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv(HOME, raising=False)
    assert library().root == Path.home() / "napari-unet"
    monkeypatch.setenv(HOME, str(tmp_path / "mine"))
    assert library().root == tmp_path / "mine"
    assert library("/elsewhere").root == tmp_path / "mine"
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    ("chosen", "place"),
    [("", "napari-unet"), ("  ", "napari-unet"), ("~", "napari-unet"), ("~/data/unet", "data/unet"), ("unet", "unet")],
)
def test_a_chosen_folder_lies_in_the_home_folder_unless_it_is_absolute(monkeypatch, tmp_path, chosen, place):
    monkeypatch.delenv(HOME, raising=False)
    assert library(chosen).root == Path.home() / place
    assert library(f" {tmp_path} ").root == tmp_path


def test_a_library_can_be_written_where_a_folder_can_be_made(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "leads nowhere").symlink_to(tmp_path / "gone")
    assert Library(tmp_path / "not" / "yet").writable
    assert not Library(tmp_path / "file").writable
    assert not Library(tmp_path / "file" / "in it").writable
    assert not Library(tmp_path / "leads nowhere" / "in it").writable


def test_own_models_come_first_the_newest_at_the_top(tmp_path):
    old, new = a_run(tmp_path, "old", 10 * 86400), a_run(tmp_path, "new", 0)
    entries = Library(tmp_path).models()
    assert [entry.name for entry in entries] == [str(new), str(old), *bundled()]
    assert entries[0].title.startswith("new (")
    assert entries[1].title.startswith("old (20")
    assert entries[2].title == "em-membrane"
    assert [c.name for c in entries[0].card.classes] == ["interior", "membrane"]


def test_a_model_whose_training_is_under_way_says_so(tmp_path):
    folder = a_run(tmp_path, "one", 0)
    assert not Library(tmp_path).models()[0].in_training
    with lock(folder / "training.lock"):
        assert [entry.in_training for entry in Library(tmp_path).models()] == [True, False, False]
    assert not Library(tmp_path).models()[0].in_training  # the file stays


def test_a_model_of_yesterday_says_so(tmp_path):
    a_run(tmp_path, "one", 86400)
    assert Library(tmp_path).models()[0].title.startswith("one (yesterday ")


def test_what_cannot_be_read_is_left_out(tmp_path):
    (a_run(tmp_path, "broken", 0) / MODEL_FILE).write_bytes(b"no model")
    (Library(tmp_path).runs / "begun").mkdir()
    assert [entry.name for entry in Library(tmp_path).models()] == bundled()


def test_a_library_that_is_not_there_yet_has_the_bundled_models(tmp_path):
    assert [entry.name for entry in Library(tmp_path / "nowhere").models()] == bundled()


def test_a_taken_name_gets_a_number(tmp_path):
    assert free(tmp_path, "cells", ".zarr") == tmp_path / "cells.zarr"
    (tmp_path / "cells.zarr" / "0").mkdir(parents=True)
    (tmp_path / "cells-2.zarr").touch()
    assert free(tmp_path, "cells", ".zarr") == tmp_path / "cells-3.zarr"


def test_a_link_to_what_is_not_there_takes_a_name_and_is_not_listed(tmp_path):
    shelf = Library(tmp_path)
    (tmp_path / "labels" / "a.zarr").mkdir(parents=True)
    (tmp_path / "labels" / "b.zarr").symlink_to(tmp_path / "none")
    assert shelf.painted() == [tmp_path / "labels" / "a.zarr"]
    assert free(tmp_path / "labels", "b", ".zarr").name == "b-2.zarr"


def test_the_name_of_a_folder_that_nobody_may_enter_is_taken(tmp_path, monkeypatch):
    (tmp_path / "a.zarr").mkdir()

    def failing(_):
        raise PermissionError("no")

    monkeypatch.setattr(Path, "iterdir", failing)
    assert free(tmp_path, "a", ".zarr").name == "a-2.zarr"


def test_the_name_of_a_training_that_failed_before_it_began_is_free(tmp_path):
    folder = tmp_path / "cells"
    folder.mkdir()
    assert free(tmp_path, "cells") == folder
    (folder / "training.lock").touch()
    (folder / "log.jsonl").touch()
    (folder / "preview.safetensors").touch()  # of the start model, before steps were timed
    assert free(tmp_path, "cells") == folder
    with lock(folder / "training.lock"):
        assert free(tmp_path, "cells") == tmp_path / "cells-2"
    (folder / "config.json").touch()
    assert free(tmp_path, "cells") == tmp_path / "cells-2"


@given(st.text(max_size=99))
def test_any_name_makes_a_name_for_a_file(name):
    found = file_name(name)
    assert 0 < len(found) <= 60
    assert not set(found) & set('/\\:*?"<>|\0\n ')
    assert found[0] not in ".-"
    assert free(Path("somewhere"), name) == Path("somewhere") / found


@given(st.text(max_size=99), st.text(st.characters(categories=("L", "N")), min_size=1, max_size=40))
def test_a_long_name_is_shortened_and_its_ending_stays(name, ending):
    found = file_name(name, ending)
    assert len(found) <= 60
    stem, _, end = found.rpartition("-")
    assert end == ending
    assert stem
    assert file_name(name).startswith(stem)


def test_of_a_long_ending_the_last_characters_stay():
    assert file_name("a" * 70, "b" * 50 + "-step-40") == "a" * 19 + "-" + "b" * 32 + "-step-40"


def test_listing_models_does_not_load_torch(tmp_path):
    code = "import sys, napari_unet.library as l; l.library().models(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, HOME: str(tmp_path)})


@pytest.mark.parametrize("folder", ["runs", "labels", "segmentations", "copies"])
def test_each_kind_has_a_folder_of_its_own(tmp_path, folder):
    assert getattr(Library(tmp_path), folder).parent == tmp_path


def test_messages_name_layers_instead_of_the_files_of_the_library(tmp_path):
    there = Library(tmp_path / "my home")
    copy, labels = there.copies / "fly medulla-0123456789ab.zarr", there.labels / "strokes-2.zarr"
    assert there.in_words(f"{copy} is gone; {labels / '0'} too") == "fly medulla is gone; strokes-2 too"
    assert there.in_words("/data/stack.zarr is gone") == "/data/stack.zarr is gone"
