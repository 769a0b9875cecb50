"""Pictures: probe, oriented RGB, thumbnail. The same pixels for the server and for training; no torch.

A source is a path or the bytes of a file. Everything that a person meets as "the picture" is the first frame, turned as
its EXIF orientation says, in 8-bit RGB, with transparency laid over white.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from deepft_lab.errors import BadImage

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF")
MAX_PIXELS = 85_000_000  # above it, decoding would take a gigabyte and more
ORIENTATION = 0x0112  # the EXIF tag

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SHOWN_BY_BROWSERS = {
    "JPEG": ("L", "RGB"),
    "PNG": ("1", "L", "P", "RGB"),
    "WEBP": ("RGB",),
    "GIF": ("L", "P", "RGB"),
}


class ImageInfo(NamedTuple):
    """Sizes are of the oriented picture. `plain`: a browser shows the file itself just as training sees it."""

    width: int
    height: int
    format: str
    plain: bool = False


def probe(source: str | Path | bytes) -> ImageInfo:
    """Decodes the whole file, so that a truncated one is found now. Raises BadImage."""
    with _opened(source) as image:
        turn = _orientation(image)
        image_format = "JPEG" if image.format == "MPO" else str(image.format)
        modes = _SHOWN_BY_BROWSERS.get(image_format, ())
        still = getattr(image, "n_frames", 1) == 1
        plain = turn == 1 and still and image.mode in modes and not image.has_transparency_data
        width, height = image.size
        image.load()
    if turn >= 5:
        width, height = height, width
    return ImageInfo(width, height, image_format, plain)


def header(source: str | Path | bytes) -> tuple[int, int]:
    """Width and height as they are stored; only the beginning of the file is read. Raises BadImage."""
    with _opened(source) as image:
        return image.size


def oriented_rgb(
    source: str | Path | bytes, *, max_side: int | None = None, shorter_side: int | None = None
) -> Image.Image:
    """The picture in RGB, uint8. Its longer side is at most `max_side`, its shorter at most `shorter_side`, in pixels.

    Nothing is enlarged. A JPEG is decoded at the least of the scales 1/8, 1/4, 1/2 and 1 that gives so much: several
    times faster, since the library then computes no pixel that would be thrown away. Raises BadImage.
    """
    with _opened(source) as image:
        turn = _orientation(image)
        size = fitted(image.size, max_side, shorter_side)
        if size != image.size and image.format in ("JPEG", "MPO"):
            image.draft(image.mode, size)
        image.load()
        rgb = _to_rgb(image)
        if size != rgb.size:
            rgb = rgb.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
        return rgb.transpose(_TURNS[turn]) if turn in _TURNS else rgb


def fitted(size: tuple[int, int], max_side: int | None, shorter_side: int | None = None) -> tuple[int, int]:
    """The size that `oriented_rgb` gives to a picture of this size."""
    scale = min(
        1.0,
        1.0 if max_side is None else max_side / max(size),
        1.0 if shorter_side is None else shorter_side / min(size),
    )
    return size if scale == 1 else (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))


def thumbnail(source: str | Path | bytes, side: int) -> bytes:
    """A JPEG whose longer side is at most `side` pixels."""
    return _jpeg(oriented_rgb(source, max_side=side), quality=82)


def shown(source: str | Path | bytes) -> bytes:
    """A JPEG of the whole picture, for files that browsers cannot show, or would show differently."""
    return _jpeg(oriented_rgb(source), quality=92)


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@contextmanager
def _opened(source: str | Path | bytes) -> Iterator[Image.Image]:
    """Opens a picture after its limits are checked, and puts every failure of the decoders into words."""
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata is no reason to talk
        try:
            with _header(file) as image:
                width, height = image.size
                if width < 1 or height < 1:
                    raise BadImage(f"The picture is {width} x {height} pixels: it has no content.")
                if width * height > MAX_PIXELS:
                    raise BadImage(
                        f"The picture has {width * height / 1e6:.0f} megapixels ({width} x {height}); "
                        f"the limit is {MAX_PIXELS // 1_000_000} megapixels. Scale it down."
                    )
                yield image
        except BadImage:
            raise
        except MemoryError:
            raise BadImage("The picture needs more memory than is allowed here. Scale it down.") from None
        except FileNotFoundError:
            raise
        except Exception as error:  # the decoders raise OSError, SyntaxError, struct.error, ValueError, ...
            raise BadImage(_words(error)) from error


def _header(file: io.BytesIO | str | Path) -> Image.Image:
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # our own limit states its numbers
    try:
        return Image.open(file, formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise BadImage(_not_a_picture(file)) from None
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _not_a_picture(file: io.BytesIO | str | Path) -> str:
    if isinstance(file, io.BytesIO):
        start = file.getvalue()[:512]
    else:
        with Path(file).open("rb") as opened:
            start = opened.read(512)
    if not start:
        return "The file is empty (0 bytes)."
    readable = f"Readable are {', '.join(FORMATS[:-1])} and {FORMATS[-1]}."
    if b"\0" not in start and all(byte >= 32 or byte in b"\t\n\r\f\x1b" for byte in start):
        return f"The file holds text, not a picture. {readable}"
    return f"The file is no picture that can be read, or its beginning is damaged. {readable}"


def _words(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return f"The picture is truncated: its end is missing ({text})."
    return f"The picture is damaged and cannot be decoded ({text[:200]})."


def _orientation(image: Image.Image) -> int:
    """1 to 8; a value that cannot be read, or that does not exist, counts as upright."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # EXIF from outside may be broken in any way
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode.startswith("I") or image.mode == "F":
        return _to_8_bit(image).convert("RGB")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Integers are 16-bit values, 65535 is white; floats are 0..1, or else their own range is spread."""
    import numpy

    values = numpy.asarray(image).astype("float32")
    if image.mode == "F":
        low, high = float(numpy.nanmin(values)), float(numpy.nanmax(values))
        if low < 0 or high > 1:
            values = (values - low) / max(high - low, 1e-12)
        values = numpy.nan_to_num(values) * 255
    else:
        values = values / 257
    return Image.fromarray(numpy.clip(values + 0.5, 0, 255).astype("uint8"))
