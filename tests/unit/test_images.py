"""Pictures as people and cameras make them, and as enemies do."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy
import pytest
from desk import picture
from PIL import Image

from deepft_lab import images
from deepft_lab.errors import BadImage


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims to be huge and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("format", images.FORMATS)
def test_every_format_is_probed_and_read(format: str) -> None:
    content = picture((200, 30, 40), (40, 20), format)
    info = images.probe(content)
    assert (info.width, info.height, info.format) == (40, 20, format)
    rgb = images.oriented_rgb(content)
    assert rgb.mode == "RGB" and rgb.size == (40, 20)
    assert abs(rgb.getpixel((20, 10))[0] - 200) < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_exif_is_applied(orientation: int) -> None:
    upright = Image.new("RGB", (32, 16), (0, 0, 255))
    upright.paste((255, 0, 0), (0, 0, 16, 8))  # red at the top left
    stored = (
        upright if orientation == 1 else upright.transpose(images._TURNS[{6: 8, 8: 6}.get(orientation, orientation)])
    )
    exif = Image.Exif()
    exif[images.ORIENTATION] = orientation
    content = encoded(stored, "PNG", exif=exif)
    assert images.probe(content)[:2] == (32, 16)
    shown = images.oriented_rgb(content)
    assert numpy.array_equal(numpy.asarray(shown), numpy.asarray(upright))
    assert images.probe(content).plain == (orientation == 1)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_counts_as_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[images.ORIENTATION] = orientation
    assert images.probe(encoded(Image.new("RGB", (32, 16)), "JPEG", exif=exif))[:2] == (32, 16)


def test_exif_that_is_rubbish_is_tolerated() -> None:
    content = encoded(Image.new("RGB", (32, 16)), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(range(60)))
    assert images.probe(content)[:2] == (32, 16)
    assert images.oriented_rgb(content).size == (32, 16)


def test_cmyk_becomes_rgb_and_is_not_left_to_the_browser() -> None:
    content = picture((0, 255, 255, 0), (16, 16), "JPEG", mode="CMYK")
    red, green, blue = images.oriented_rgb(content).getpixel((8, 8))
    assert red > 200 and green < 60 and blue < 60
    assert not images.probe(content).plain


def test_sixteen_bits_are_scaled_to_eight() -> None:
    values = numpy.array([[0, 257, 32896, 65535]], dtype="uint16")
    for format in ("PNG", "TIFF"):
        rgb = images.oriented_rgb(encoded(Image.fromarray(values), format))
        assert [rgb.getpixel((x, 0)) for x in range(4)] == [(v, v, v) for v in (0, 1, 128, 255)]


def test_transparency_lies_over_white() -> None:
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.paste(1, (4, 0, 8, 8))
    content = encoded(palette, "PNG", transparency=0)
    assert images.oriented_rgb(content).getpixel((0, 0)) == (255, 255, 255)
    assert images.oriented_rgb(content).getpixel((6, 0)) == (0, 0, 255)
    grey = encoded(Image.new("LA", (8, 8), (0, 0)), "PNG")
    assert images.oriented_rgb(grey).getpixel((0, 0)) == (255, 255, 255)


def test_what_browsers_show_over_their_own_background_is_not_left_to_them() -> None:
    assert images.probe(picture()).plain
    assert not images.probe(encoded(Image.new("RGBA", (8, 8), (1, 2, 3, 4)), "PNG")).plain


def test_an_animation_is_its_first_frame() -> None:
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 255, 0))
    content = encoded(first, "GIF", save_all=True, append_images=[second])
    assert images.oriented_rgb(content).getpixel((4, 4)) == (255, 0, 0)
    assert not images.probe(content).plain


def test_a_truncated_file_is_found_when_probed() -> None:
    noise = Image.fromarray(numpy.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype="uint8"))
    for format in ("JPEG", "PNG", "BMP", "TIFF", "WEBP"):
        content = encoded(noise, format)
        with pytest.raises(BadImage, match=r"truncated|damaged"):
            images.probe(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"Dear camera, I am a text.\n", "text"),
        (b"\0\1\2\3" * 50, "no picture"),
        (b"GIF89a\0\1", "no picture|damaged"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    for source in (content, path):
        with pytest.raises(BadImage, match=words):
            images.probe(source)


def test_a_bomb_is_refused_before_it_is_decoded_with_its_numbers() -> None:
    with pytest.raises(BadImage, match=r"100 megapixels \(10000 x 10000\); the limit is 85 megapixels"):
        images.probe(bomb(10_000, 10_000))
    with pytest.raises(BadImage, match="megapixels"):
        images.oriented_rgb(bomb(10_000, 10_000), max_side=64)


def test_other_formats_are_not_opened() -> None:
    with pytest.raises(BadImage):
        images.probe(encoded(Image.new("RGB", (8, 8)), "PPM"))


def test_a_reduced_picture_keeps_its_shape_and_is_never_enlarged() -> None:
    content = picture((9, 9, 9), (640, 320), "JPEG")
    assert images.oriented_rgb(content, max_side=100).size == (100, 50)
    assert images.oriented_rgb(content, max_side=1000).size == (640, 320)
    with Image.open(io.BytesIO(images.thumbnail(content, 64))) as small:
        assert small.format == "JPEG" and small.size == (64, 32)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_the_shorter_side_may_be_bounded_too(format: str) -> None:
    content = picture((200, 30, 90), (640, 320), format)
    assert images.header(content) == (640, 320)
    for bounds, size in [
        ({"shorter_side": 100}, (200, 100)),
        ({"shorter_side": 100, "max_side": 150}, (150, 75)),
        ({"shorter_side": 400}, (640, 320)),
    ]:
        found = images.oriented_rgb(content, **bounds)
        assert found.size == size == images.fitted((640, 320), bounds.get("max_side"), bounds["shorter_side"])
        assert numpy.abs(numpy.asarray(found).mean((0, 1)) - (200, 30, 90)).max() < 4
    assert images.fitted((10_000, 3), None, 1) == (3333, 1)


def test_a_header_is_read_where_the_rest_is_missing() -> None:
    content = picture((9, 9, 9), (640, 320), "JPEG")
    assert images.header(content[: len(content) - 200]) == (640, 320)
    with pytest.raises(BadImage, match="text"):
        images.header(b"words")
