"""`jupyter deepft demo`: the main job on real data, in about a minute on two cores.

The 1,797 handwritten digits of scikit-learn become image files; an app is made, they are uploaded and frozen, a model
is trained from a random start, evaluated on held-out digits, and put to work. Needs scikit-learn (the extra `demo`).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import deepft_lab
from deepft_lab.errors import DeepFTError, NotFound

APP = "digits"
MODEL = "which-digit"
TEMPLATE = "classifier-mobilenet-v2"
# Values for 8 x 8 pixels drawn large: a random start needs a higher rate than fine-tuning; digits must not be mirrored.
VALUES: dict[str, Any] = {
    "pretrained_weights": "None",
    "image_size": 64,
    "num_epochs": 5,
    "batch_size": 32,
    "per_item_lrate": 1e-4,
    "flip_probability": 0.0,
}
HELD_OUT = 0.2
SIDE = 32  # pixels of a digit's picture
REQUIRED_ACCURACY = 0.95


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="jupyter deepft demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="folder of the picture of predictions")
    parser.add_argument("--seed", type=int, default=1, help="seed of the split into training and held-out digits")
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    try:
        return _run(options.output, options.seed, begun)
    except DeepFTError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


def _run(output: Path, seed: int, begun: float) -> int:
    say = _Steps(begun)
    lab = deepft_lab.connect()
    try:
        say(f"Connected to {lab.url}")
        app = _app(lab)
        with tempfile.TemporaryDirectory() as folder:
            held_out = write_digits(Path(folder), seed)
            say(f"Wrote {len(held_out[0])} training and {len(held_out[1])} held-out digits as PNG files")
            for dataset in ("train", "val"):
                report = app.upload(Path(folder) / dataset, dataset=dataset, concepts="folders")
                say(f"Uploaded {dataset}: {len(report.added)} added, {len(report.duplicates)} there already")
                if report.errors:
                    raise DeepFTError(f"{len(report.errors)} files could not be uploaded; first: {report.errors[0]}")
            frozen = app.freeze("train")
            say(f"Froze the dataset: {frozen.inputs} inputs, version {frozen.id[:12]}")
            version = _train(app, say)
            metrics = version.metrics
            say(f"Trained {version.id}: accuracy {metrics['accuracy']:.3f} on held-out digits")
            picture = _predict(version, held_out[1], output)
        _table(version, time.monotonic() - begun, picture)
        return 0 if metrics["accuracy"] >= REQUIRED_ACCURACY else 1
    finally:
        lab.close()


def write_digits(folder: Path, seed: int) -> tuple[list[Path], list[Path]]:
    """Writes scikit-learn's digits below `folder`/{train,val}/{0..9}/; returns both lists of files, split by seed."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.images))
    cut = round(len(order) * HELD_OUT)
    files: tuple[list[Path], list[Path]] = ([], [])
    for place, index in enumerate(order):
        dataset = "val" if place < cut else "train"
        path = folder / dataset / str(digits.target[index]) / f"digit-{index:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = (255 - digits.images[index] * (255 / 16)).astype("uint8")
        Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)
        files[dataset == "val"].append(path)
    return files


def _app(lab: Any) -> Any:
    try:
        return lab.app(APP)
    except NotFound:
        return lab.create_app(APP, description="1,797 handwritten digits of scikit-learn")


def _train(app: Any, say: _Steps) -> Any:
    existing = {model.id: model for model in app.models()}
    model = existing.get(MODEL)
    if model is None:
        model = app.create_model(MODEL, type="visual-classifier", template=TEMPLATE, **VALUES)
    else:
        model.update_params(**VALUES)
    version = model.train(dataset="train", validation="val")
    seen = 0
    while True:
        for event in version.events(after=seen):
            seen = event.seq
            if event.kind == "epoch":
                data = event.data
                accuracy = data["metrics"]["accuracy"]
                say(f"Epoch {data['epoch']:2}: loss {data['train_loss']:.3f}, accuracy {accuracy:.3f}")
        if version.status in ("trained", "failed", "deleted"):
            return version.wait()
        time.sleep(0.3)


def _predict(version: Any, files: list[Path], output: Path) -> Path:
    """Predicts forty held-out digits and draws them with what was seen: green is right, red is wrong."""
    from PIL import Image, ImageDraw

    columns, rows, cell = 8, 5, 96
    chosen = sorted(files, key=lambda path: path.name)[: columns * rows]
    sheet = Image.new("RGB", (columns * cell, rows * (cell + 24)), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (path, values) in enumerate(zip(chosen, version.predict(chosen), strict=True)):
        x, y = place % columns * cell, place // columns * (cell + 24)
        concept, value = values[0]
        sheet.paste(Image.open(path).convert("RGB").resize((cell - 8, cell - 8)), (x + 4, y + 4))
        colour = "#1b7f3b" if concept == path.parent.name else "#c62828"
        draw.text((x + 6, y + cell), f"{concept}  {value:.0%}", fill=colour, font_size=16)
    output.mkdir(parents=True, exist_ok=True)
    picture = output / "digits.png"
    sheet.save(picture)
    return picture.resolve()


def _table(version: Any, seconds: float, picture: Path) -> None:
    metrics = version.metrics
    print(f"\n  {'digit':>5}  {'precision':>9}  {'recall':>6}  {'f1':>5}")
    for concept, values in sorted(version.metrics_by_concept.items()):
        cells = [values.get(name) for name in ("precision", "recall", "f1")]
        precision, recall, f1 = ("-" if value is None else f"{value:.3f}" for value in cells)
        print(f"  {concept:>5}  {precision:>9}  {recall:>6}  {f1:>5}")
    figures = [f"{name} {metrics[name]:.3f}" for name in ("accuracy", "f1_macro", "roc_auc_macro")]
    print("\n  " + "   ".join(figures))
    print(f"  the whole took {seconds:.0f} s\n")
    print(f"  Predictions: {picture}")
    jupyter = Path(sys.executable).parent / "jupyter"
    print(f"  Open the app in JupyterLab:  {jupyter} lab   (sidebar: DeepFT Lab, app {APP})")


class _Steps:
    """Prints a line with the seconds since the start."""

    def __init__(self, begun: float) -> None:
        self.begun = begun

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self.begun:5.1f} s] {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
