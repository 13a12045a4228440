"""Load photographs for the grounds of scenes."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

# The names of six photos that are never trained on; figures "on held-out photos" are measured on them.  There is one
# from each sixth of the 40 photos, ranked by how hard they are to compress, so their mean is close to that of all.
HELD_OUT = (
    "casa-mila",
    "oakland-zoo-otters",
    "tony-webster-97532",
    "beacon-street-sunset",
    "jad-limcaco-183877",
    "jared-evans-119758",
)


def load(folder: Path, *, held_out: bool = False) -> list[Image.Image]:
    """Return the training photos in a folder as RGB pictures, or with `held_out` the held-out ones."""
    files = [file for file in sorted(folder.glob("*.jpg")) if (file.stem in HELD_OUT) == held_out]
    if not files:
        which = "of those held out, see training/photos.py, " if held_out else ""
        raise SystemExit(f"No photos (*.jpg) {which}in {folder}: pass a folder with them as --photos.")
    return [Image.open(file).convert("RGB") for file in files]


def middle(photo: Image.Image, size: int, *, share: float = 1.0) -> Image.Image:
    """Return the square in the middle of a photo, `share` of its short side wide, at size × size px."""
    side = min(photo.size) * share
    x, y = (photo.width - side) / 2, (photo.height - side) / 2
    return photo.resize((size, size), Image.Resampling.LANCZOS, box=(x, y, x + side, y + side))
