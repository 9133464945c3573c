"""What a user may choose, one frozen class per verb: form, command-line flags, check and saved JSON in one."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Set
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

_FILES = {".tif", ".tiff", ".png", ".jpg", ".h5", ".hdf5", ".mrc", ".npy"}  # endings of files, never of a result


def _split(names: Any) -> Any:
    """Turn "a,b" and ("a,b",) into ("a", "b")."""
    parts = [names] if isinstance(names, str) else names
    if not isinstance(parts, list | tuple):
        return parts  # pydantic says what is wrong with it
    return tuple(name.strip() for part in parts for name in str(part).split(",") if name.strip())


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("two classes have the same name or colour")
    return names


def _multiple_of_16(tile: int) -> int:
    if tile % 16:
        raise ValueError(f"must be a multiple of 16, such as {max(tile // 16, 1) * 16}")
    return tile


_NUMBER = r"-?\d+(\.\d+)?"


def _region(text: str) -> str:
    if text and not re.fullmatch(r"(\d*:\d*,){2}\d*:\d*", text):
        raise ValueError("must look like 0:10,0:512,0:512 (sections, rows, columns; an empty end means all)")
    return text


def _place(text: str) -> str:
    if text and not re.fullmatch(rf"{_NUMBER}(,{_NUMBER}){{2}}", text):
        raise ValueError("must look like 0,12.5,-3 (section, row and column, in voxels)")
    return text


def _full(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError:  # ~name, and there is no such user: a file may be called so
        return path.absolute()


def _result(path: Path) -> Path:
    if path.suffix.lower() in _FILES:
        raise ValueError(
            f"is a folder, so {path.name} is no name for it: call it {path.stem}.zarr; napari-unet convert makes a TIFF"
        )
    return path


Names = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_unique)]
Colors = Annotated[
    tuple[Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")], ...], BeforeValidator(_split), AfterValidator(_unique)
]
# The command line gives text.
Width = Annotated[Literal[16, 32, 64], BeforeValidator(lambda n: int(n) if str(n).isdecimal() else n)]
FullPath = Annotated[Path, AfterValidator(_full)]
Zero = Annotated[
    Literal["unlabelled", "background"], Field(description="What the label value 0 means on a painted section.")
]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1, description="Start of all random draws: same seed, same result.")]


class Settings(BaseModel):
    """What every job can be told about the machine."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    threads: int = Field(
        0, ge=0, description="Processor threads; 0 takes all cores.", json_schema_extra={"zero": "all cores"}
    )
    device: Device = Field("auto", description="What to compute on; auto takes the GPU if there is one.")
    precision: Precision = Field(
        "auto", description="Number format; auto takes bfloat16 where the device gains by it, tried once, else float32."
    )
    channel: int | None = Field(
        None, ge=0, description="Which channel, time point or stack to use, of an image with several."
    )


class _OnPairs(BaseModel):
    """What a job reads."""

    inputs: tuple[FullPath, ...] = Field(description="Image, labels, image, labels, ...")

    @model_validator(mode="after")
    def _in_pairs(self) -> Self:
        if not self.inputs or len(self.inputs) % 2:
            raise ValueError("give images and labels in pairs: IMAGE LABELS [IMAGE LABELS ...]")
        return self

    @property
    def pairs(self) -> tuple[tuple[Path, Path], ...]:
        """Each image with its labels."""
        return tuple(zip(self.inputs[::2], self.inputs[1::2], strict=True))


class CheckSettings(Settings):
    """What a user may choose for a check of what is painted: what it means, and the model to compare it with."""

    start_from: str = Field("em-membrane", description="Model to start from: a name, a file, a run, or scratch.")
    classes: Names = Field((), description="Class names by label value: the first is 1. Empty: the start model's.")
    zero: Zero = "unlabelled"
    objects: bool = Field(False, description="The values are object ids; touching ones are kept apart.")


class CheckConfig(CheckSettings, _OnPairs):
    """A check: its settings, its images and labels, and the folder of its log."""

    out: FullPath


class TrainSettings(CheckSettings):
    """What a user may choose for a training."""

    out: FullPath = Field(description="Run folder: everything this training makes.")
    colors: Colors = Field((), description="Class colours as #rrggbb, one a class. Empty: chosen by the program.")
    minutes: float = Field(5.0, gt=0, description="How long to train; turned into steps and recorded as steps.")
    steps: int = Field(
        0,
        ge=0,
        description="How many steps to train; 0 takes the minutes.",
        json_schema_extra={"zero": "from the time"},
    )
    seed: Seed = 0
    width: Width | None = Field(None, description="From scratch: channels of the first level (16, 32, 64; paper: 64).")
    crop: Annotated[int, AfterValidator(_multiple_of_16)] = Field(
        112, ge=16, description="Side of the part of a training crop that counts, in pixels."
    )
    batch: int = Field(4, ge=1, description="Crops in a step.")
    augmentation: Literal["near", "wide"] = Field(
        "near", description="How far examples are changed: near for one microscope, wide for a model for many."
    )
    learning_rate: float = Field(
        0.0,
        ge=0,
        le=0.1,
        description="Peak learning rate; 0 lets the program choose.",
        json_schema_extra={"zero": "chosen by the program"},
    )
    balance: float = Field(
        0.0, ge=0, le=1, description="How much rarer classes are weighed up: 0 not at all, 1 until all weigh the same."
    )
    border_weight: float = Field(10.0, ge=0, description="Extra loss weight between touching objects; paper: 10.")


class TrainConfig(TrainSettings, _OnPairs):
    """A training: its settings and its images and labels."""

    @field_validator("precision")
    @classmethod
    def _wide_enough(cls, precision: Precision) -> Precision:
        if precision == "float16":
            raise ValueError("float16 loses small gradients in training: take bfloat16, float32 or auto")
        return precision

    def command(self) -> str:
        """Return the command that does this training again."""
        left_out = {"minutes"} if self.steps else set()
        return _command(["train", *map(str, self.inputs)], self, TrainSettings.model_fields.keys() - left_out)


class SegmentSettings(Settings):
    """What a user may choose for a segmentation."""

    model: str = Field("em-membrane", description="Model: a name, a file or a run.")
    region: Annotated[str, AfterValidator(_region)] = Field(
        "", description="Only this part, as z0:z1,y0:y1,x0:x1 in voxels. Empty: the whole stack."
    )
    tile: Annotated[int, AfterValidator(_multiple_of_16)] = Field(
        0,
        ge=0,
        le=4096,
        description="Largest tile side in pixels; it changes nothing but rounding. 0 takes what fits into memory; "
        "a result goes on with the one it was begun with.",
        json_schema_extra={"zero": "what fits into memory"},
    )
    probabilities: bool = Field(False, description="Also write the probability of each class.")
    best_quality: bool = Field(
        False, description="Average over the 8 mirrored and rotated views: a little better, 8 times as long."
    )
    place: Annotated[str, AfterValidator(_place)] = Field(
        "", description="Where the first voxel of the image lies, as z,y,x in voxels. Empty: as its file says."
    )
    scheduler: str = Field(
        "",
        description="Address of a dask scheduler, such as tcp://node1:8786: its workers compute. Empty: this machine.",
    )


class SegmentConfig(SegmentSettings):
    """A segmentation: its settings, its image and its result."""

    image: FullPath
    out: Annotated[FullPath, AfterValidator(_result)]

    def command(self) -> str:
        """Return the command that does this segmentation again."""
        return _command(["segment", str(self.image), str(self.out)], self, SegmentSettings.model_fields.keys())


class SuggestSettings(Settings):
    """What a user may choose when asking where to paint next."""

    model: str = Field("em-membrane", description="Model whose doubts count: a name, a file or a run.")
    count: int = Field(10, ge=1, le=100, description="How many places to name.")
    zero: Zero = "unlabelled"
    seed: Seed = 0
    within_labels: bool = Field(False, description="Name only places that the labels cover.")


class SuggestConfig(SuggestSettings):
    """A question where to paint next: its settings, its image and what is painted on it."""

    image: FullPath
    labels: tuple[FullPath, ...] = ()


class SuggestJob(SuggestConfig):
    """The same question in a process of its own, which answers in the log of a folder."""

    out: FullPath


def _command(words: list[str], config: Settings, flags: Set[str]) -> str:
    """Return a command line: its words, then a flag for each setting of `flags` that is not the default."""
    words = ["napari-unet", *words]
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if name in flags and value != field.default:
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            flag = "--" + name.replace("_", "-")
            if value is True:
                words.append(flag)
            else:  # a text that begins with a minus would be taken for a flag
                words += [f"{flag}={text}"] if text.startswith("-") else [flag, text]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
