"""The package as installed: its manifest, what it imports when, and which room may know napari."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module, resources
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import npe2
import pytest

from napari_unet.config import Device, Precision, SegmentSettings, TrainConfig
from napari_unet.library import HOME

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "napari_unet"
ROOMS = sorted(SOURCE.rglob("*.py"))


@pytest.fixture(scope="module")
def manifest() -> npe2.PluginManifest:
    return npe2.PluginManifest.from_distribution("napari-unet")


@pytest.mark.parametrize(
    "script", sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("recipes/*.py")]), ids=lambda path: path.stem
)
def test_what_benchmarks_and_recipes_take_from_the_package_is_there(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("napari_unet"):
            for name in (each.name for each in node.names):
                assert hasattr(import_module(node.module), name) or find_spec(f"{node.module}.{name}"), name


# ---- the manifest


def test_the_installed_manifest_is_the_one_at_the_top() -> None:
    installed = resources.files("napari_unet") / "napari.yaml"
    assert installed.read_bytes() == (ROOT / "napari.yaml").read_bytes()


def test_every_command_can_be_imported(manifest: npe2.PluginManifest) -> None:
    manifest.validate_imports()
    commands = manifest.contributions.commands
    assert commands
    for command in commands:
        module, name = command.python_name.split(":")
        assert callable(getattr(import_module(module), name)), command.id


def test_every_contribution_names_a_command(manifest: npe2.PluginManifest) -> None:
    ids = {command.id for command in manifest.contributions.commands}
    contributed = [*(manifest.contributions.readers or ()), *(manifest.contributions.sample_data or ())]
    contributed += manifest.contributions.widgets or ()
    assert contributed
    assert {each.command for each in contributed} <= ids


def test_the_preferences_are_none_that_the_environment_gives_by_mistake(manifest: npe2.PluginManifest) -> None:
    # napari takes NAPARI_X_Y for the value Y of the preferences X.
    assert not HOME.lower().startswith(tuple(f"napari_{name}_" for name in manifest.contributions.configurations))


def test_the_preferences_offer_what_every_form_takes(manifest: npe2.PluginManifest) -> None:
    properties = manifest.contributions.configurations["computing"].properties
    assert properties.keys() == {"device", "precision", "library_folder"}
    for name, kind in (("device", Device), ("precision", Precision)):
        assert set(properties[name].enum) <= set(get_args(kind))
        assert properties[name].default == SegmentSettings.model_fields[name].default
        for value in properties[name].enum:
            TrainConfig(inputs=("a", "b"), out="c", **{name: value})


# ---- imports


def loaded_by(*rooms: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after importing `rooms`."""
    code = f"import {', '.join(rooms)}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(found.stdout.split())


def test_discovery_loads_nothing_heavy() -> None:
    heavy = {"numpy", "napari", "torch", "zarr", "scipy", "qtpy", "magicgui"}
    assert not heavy & loaded_by("napari_unet")


def test_what_napari_and_the_command_line_load_at_once_is_free_of_torch() -> None:
    light = ("reader", "samples", "config", "events", "scores", "volume", "store", "runs", "cli")
    loaded = loaded_by(*(f"napari_unet.{room}" for room in light))
    assert "napari_unet" in loaded
    assert "torch" not in loaded


# ---- arrows


def imported(room: Path) -> Iterator[str]:
    """Yield every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(room.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{room} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", ROOMS, ids=[room.relative_to(SOURCE).as_posix() for room in ROOMS])
def test_arrows_point_down(room: Path) -> None:
    inside = room.relative_to(SOURCE)
    names = set(imported(room))
    top = {name.partition(".")[0] for name in names}
    assert "pickle" not in top
    if inside.parts[0] != "widgets" and inside.name not in ("reader.py", "samples.py"):
        assert not top & {"napari", "qtpy", "magicgui", "pyqtgraph", "superqt"}
    doors = {"cli.py", "worker.py"}
    if inside.parts[0] != "widgets" and inside.name not in doors:
        assert not [name for name in names if name.startswith(("napari_unet.cli", "napari_unet.widgets"))]


@pytest.mark.parametrize("room", ["config", "events", "tiles", "unet", "problem"])
def test_the_lowest_rooms_know_only_each_others_problems(room: str) -> None:
    ours = {name for name in imported(SOURCE / f"{room}.py") if name.startswith("napari_unet")}
    assert ours <= {"napari_unet.problem.Problem", "napari_unet.jsonline"}


@pytest.mark.parametrize(
    "page", ["README.md", "docs/architecture.md", "docs/bad-input.md", "docs/benchmarks.md", "docs/window.md"]
)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())
    assert not [link for link in links if not (path.parent / link).exists()]
    assert not re.search(r"@[A-Z]+@|TODO|FIXME", path.read_text())
