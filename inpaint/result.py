"""Hold the result of a run (pictures, request and report) and save it to files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InvalidRequest
from .request import Request

if TYPE_CHECKING:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

METADATA = ("full", "settings", "none")


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The pictures made for one request, as many as its `count`.

    images   RGB or RGBA at the picture's own size; image k was made with seeds[k]
    request  the request, with the seed, guidance and eta that were really used
    report   measurements, ready for JSON: max_change_outside, seam_score, steps, seconds by stage, …
    model    name and fingerprint of the model, and the versions of the libraries it ran on
    """

    images: tuple[Image.Image, ...]
    request: Request
    report: dict[str, Any]
    model: dict[str, Any]
    seeds: tuple[int, ...]

    @property
    def image(self) -> Image.Image:
        return self.images[0]

    @property
    def seed(self) -> int:
        return self.seeds[0]

    @property
    def by_ai(self) -> str:
        """Return IPTC's word for how the pictures came about; an empty text if no network painted on them."""
        if self.report.get("method") == "patch" or not self.report.get("steps"):
            return ""
        return "compositeWithTrainedAlgorithmicMedia" if self.request.picture else "trainedAlgorithmicMedia"

    def request_of(self, index: int = 0) -> Request:
        """Return the request that makes image `index` alone: with its own seed and count 1.

        The article's program draws the noise of all images in one stream, so there it is the whole request.
        """
        return self.request if self.request.article else replace(self.request, seed=self.seeds[index], count=1)

    def save(self, path: str | Path, index: int = 0, metadata: str = "full", quality: int | None = 95) -> Path:
        """Write image `index` as PNG, JPEG, WebP or TIFF, by the path's suffix; return its path.

        metadata  full      settings, mask and the pixels that were painted over, so that `Request.from_image` can
                            repeat the picture bit for bit (PNG only; JPEG and WebP keep just the settings)
                  settings  only the settings, none of the pixels that were painted over
                  none      neither; the photo's own EXIF and colour profile stay
        quality   1 … 100 of JPEG and WebP; WebP is lossless at 100; None gives a JPEG the quantization of the
                  photo's own file
        """
        from .files import writing

        target = Path(path)
        format = writing.format_of(target)
        return writing.write(target, self.to_bytes(format, index, metadata, quality))

    def to_bytes(
        self, format: str = "PNG", index: int = 0, metadata: str = "full", quality: int | None = 95
    ) -> bytes:
        """Return the bytes of the file that `save` would write: PNG, JPEG, WEBP or TIFF."""
        from . import __version__
        from .files import exif, infotext, writing, xmp
        from .files import metadata as metadata_of

        if metadata not in METADATA:
            raise InvalidRequest(
                "metadata", f"metadata cannot be {metadata!r}.", f"Choose one of: {', '.join(METADATA)}."
            )
        image, name = self.images[index], writing.format_of(f"x.{format}")
        icc, block = image.info.get("icc_profile"), image.info.get("exif")
        kept: dict[Any, Any] = dict(image.info)
        if not self.request.keep_gps:
            block, kept = exif.without_gps(block), metadata_of.without_place(kept)
        if self.request.mark_ai and self.by_ai:
            kept["xmp"] = xmp.marked(kept.get("xmp"), self.by_ai, f"inpaint {__version__}, {self.model['name']}")
        block = exif.without_settings(block) if metadata == "none" else block
        if name == "PNG":
            chunks = None if metadata == "none" else self._record(index, pixels=metadata == "full")
            return writing.png(image, icc, block, chunks, kept)
        asked = self.request_of(index)
        text = ""
        if metadata != "none":
            made_from = asked.picture is not None, asked.mask is not None
            text = infotext.write(asked.settings(), self.model, image.size, *made_from, whole=True)
        if name == "TIFF":
            return writing.tiff(image, icc, block, text, kept)
        return writing.lossy(image, name, icc, block, text, quality, kept)

    def _record(self, index: int, pixels: bool) -> PngInfo:
        from .files import png_record
        from .pixels.expand import sides

        asked, offset = self.request_of(index), (0, 0)
        if asked.picture is not None and asked.expand:
            offset = sides(asked.expand, asked.picture.size)[:2]
        return png_record.pack(
            asked.settings(), self.images[index], self.model, self.report, asked.picture, asked.mask, offset, pixels
        )
