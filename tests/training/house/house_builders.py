"""A package of builders as an administrator writes one: what the server imports. Some cannot be used."""

from deepft_lab.training.recipes.builders import Arguments, Builder


class Sign(Arguments, frozen=True):
    momentum: float = 0.9


class Wave(Arguments, frozen=True):
    waves: int = 2


class Width(Arguments, frozen=True):
    width: int = 8


class Power(Arguments, frozen=True):
    power: float = 2.0


class Salt(Arguments, frozen=True):
    share: float = 0.1


SIGN = Builder("optimizer", "house_builders_torch:sign", Sign)
WAVE = Builder("schedule", "house_builders_torch:wave", Wave)
PLAIN = Builder("backbone", "house_builders_torch:plain", Width, ("visual-classifier",), head="last.")
HALVES = Builder("neck", "house_builders_torch:halves", Width, ("visual-detector", "visual-segmenter"))
STRIPES = Builder("backbone", "house_builders_torch:stripes", Width, ("visual-detector", "visual-segmenter"))
POINTS = Builder("head", "house_builders_torch:points", Width, ("visual-segmenter",))
SQUARES = Builder("loss", "house_builders_torch:squares", types=("visual-segmenter",))
EDGE = Builder("head", "house_builders_torch:points", Width)
ANYWHERE = Builder("loss", "house_builders_torch:squares")
HEADLESS = Builder("backbone", "house_builders_torch:plain", Width)
BLUR = Builder("augment", "house_builders_torch:plain")
LAYERS = Builder("head", "house_builders_torch:layers", Width, ("visual-classifier",))
MIDDLES = Builder("head", "house_builders_torch:middles", Width, ("visual-detector",))
BRIER = Builder("loss", "house_builders_torch:brier", Power, ("visual-classifier",))
SALT = Builder("augmentation", "house_builders_torch:salt", Salt)
BENT = Builder("augmentation", "house_builders_torch:bent", types=("visual-classifier",))
LOOSE = Builder("optimizer", "house_builders_torch.sign", dict, "visual-classifier")
NONSENSE = 7
