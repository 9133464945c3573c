"""What the user calls a model lies beside it, and the model stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_unet.naming import NAMED, Named, name, name_of, named


def test_a_name_and_a_note_are_kept(tmp_path: Path) -> None:
    assert named(tmp_path) == Named()
    name(tmp_path, Named("Best of May", "for µm-thin sections"))
    assert named(tmp_path) == Named("Best of May", "for µm-thin sections")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": 3}', "[" * 10_000])
def test_what_cannot_be_read_is_no_name(tmp_path: Path, text: str) -> None:
    (tmp_path / NAMED).write_text(text)
    assert named(tmp_path) == Named()


def test_a_model_is_called_by_its_name_or_its_folder(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert name_of("em-membrane") == "em-membrane"
    assert name_of(str(tmp_path / "friend.safetensors")) == "friend.safetensors"
    assert name_of(str(run)) == name_of(str(run / "model.safetensors")) == "run"
    name(run, Named("Best"))
    assert name_of(str(run)) == name_of(str(run / "model.safetensors")) == "Best"
