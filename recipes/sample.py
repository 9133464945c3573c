"""Make the bundled sample: a crop of the FlyEM medulla stack, strokes painted by eye, and the truth.

    python recipes/sample.py DATA

DATA holds the folder `flyem_medulla`. The strokes below were drawn by looking at the two sections alone, as columns and
rows of a polyline; the truth was not shown and nothing was tuned to it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageDraw
from skimage.segmentation import find_boundaries

OUT = Path(__file__).parents[1] / "src/napari_unet/data"
SECTIONS = slice(28, 52)
VOXEL_SIZE = [10.0, 10.0, 10.0]
CREDIT = (
    "FlyEM, HHMI Janelia: Drosophila medulla, FIB-SEM, CC BY 3.0 US. "
    "Changed: sections 28 to 51 of sample 2; strokes and membrane classes added."
)
INTERIOR, MEMBRANE = 1, 2
BRUSH = {INTERIOR: 5, MEMBRANE: 3}  # pixels

STROKES = {
    34: {
        MEMBRANE: [
            "0,56 8,60 15,68 20,76 28,82 40,87 52,90 62,87 70,82",
            "79,66 84,60 92,54 100,51 112,46 125,45 134,48 140,54 144,61 138,61 131,57",
            "101,75 103,66 110,59 120,56 128,58",
            "172,73 182,66 195,60 207,60 217,64 222,72 224,82 228,92 232,102",
            "148,0 146,15 148,30 151,45 157,57 166,62",
            "168,80 168,93 174,107 177,120 180,128",
            "100,143 102,135 110,131 118,134 122,141 120,150 112,153 104,151",
            "205,20 207,30 215,35 225,38 232,46 233,56 227,66",
            "98,175 97,190 96,205 90,220",
            "84,175 85,190 82,205 75,218 62,228",
            "175,160 165,167 155,177 145,187 130,198 123,206 118,216 112,230 108,245",
        ],
        INTERIOR: [
            "30,50 55,65 70,55 90,35 50,30",
            "110,65 125,75 115,85",
            "85,8 110,15 130,25",
            "235,60 240,80 235,90",
            "185,90 200,95 215,98",
            "200,78 212,80",
            "160,190 180,215 165,230 150,240",
            "60,185 45,205 20,215",
            "76,180 74,195 62,212",
            "20,160 28,170",
            "108,140 115,145",
            "140,110 143,118",
            "160,108 168,115",
            "30,105 55,112 75,100",
            "160,40 165,50",
            "225,145 215,150",
        ],
    },
    46: {
        MEMBRANE: [
            "0,50 10,56 18,65 25,73 37,80 50,86 65,87 78,83",
            "101,50 105,43 113,38 125,35 138,37 147,43 152,52 156,65 153,73",
            "108,63 116,54 126,46 136,43 145,46",
            "165,75 175,68 188,62 203,59 215,62 221,70 223,82 220,95 213,108",
            "152,0 154,15 153,30 155,42 160,52 170,59 182,57 190,50 187,42 178,35 172,25",
            "196,28 207,27 217,30 221,40 221,55",
            "101,125 103,116 110,110 120,110 129,117 132,127 130,137 120,142 110,141 103,134",
            "163,90 170,98 176,107 181,115 190,121",
            "143,105 145,118 143,130 148,142 155,148 165,143 173,135",
            "75,118 78,128 88,134 98,138",
            "35,107 45,109 58,111 68,115",
            "86,84 88,98 87,112 83,124",
            "185,130 186,142 181,152 172,163 160,175 150,183 143,195 138,210 133,225 131,235",
            "122,180 120,200 119,220 117,240",
        ],
        INTERIOR: [
            "40,20 75,25 85,45 60,60",
            "130,55 140,62 125,68",
            "170,40 180,50",
            "205,40 212,50",
            "175,85 190,95 205,95",
            "200,75 212,78",
            "235,50 240,90 225,120 215,140",
            "115,122 120,130",
            "137,110 138,118",
            "155,105 165,115",
            "55,120 65,125 58,135",
            "55,155 70,165 50,185 25,205",
            "20,155 30,165",
            "85,150 98,155 103,160",
            "170,190 190,200 210,210 180,220",
            "130,190 128,210",
            "190,150 215,170",
            "20,90 50,98 70,95",
            "10,120 8,130",
        ],
    },
}


def painted(shape: tuple[int, int], strokes: dict[int, list[str]]) -> np.ndarray:
    """Draw the strokes of one section."""
    canvas = Image.new("L", shape[::-1])
    draw = ImageDraw.Draw(canvas)
    for value, lines in strokes.items():
        for line in lines:
            points = [tuple(map(int, point.split(","))) for point in line.split()]
            draw.line(points, fill=value, width=BRUSH[value], joint="curve")
    return np.asarray(canvas)


def write(name: str, stack: np.ndarray) -> None:
    """Write one stack of the sample, with voxel size and credit."""
    metadata = {"axes": "ZYX", "voxel_size": VOXEL_SIZE, "credit": CREDIT}
    tifffile.imwrite(OUT / f"{name}.tif", stack, compression="zlib", compressionargs={"level": 9}, metadata=metadata)


def main() -> None:
    """Write image, strokes and truth."""
    folder = Path(sys.argv[1]) / "flyem_medulla/sample2"
    image = tifffile.imread(folder / "raw.tif")[SECTIONS]
    ids = tifffile.imread(folder / "neurons.tif")[SECTIONS]
    strokes = np.zeros(image.shape, np.uint8)
    for z, lines in STROKES.items():
        strokes[z - SECTIONS.start] = painted(image.shape[1:], lines)
    boundary = np.stack([find_boundaries(section, mode="thick") for section in ids])
    OUT.mkdir(exist_ok=True)
    write("fly_medulla", image)
    write("fly_medulla_strokes", strokes)
    write("fly_medulla_truth", np.where(boundary, MEMBRANE, INTERIOR).astype(np.uint8))


if __name__ == "__main__":
    main()
