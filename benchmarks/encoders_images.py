"""Picture encoders: the stage against the model alone, and preparing pictures against the Hugging Face processor.

    python -m benchmarks.encoders_images FOLDER [--pictures 1000] [--large 60] [--rounds 3] [--threads 2] [--json]

FOLDER holds JPEGs, such as $MEDIATECA_REAL_DATA/posters. The model has the architecture of ResNet-18 and weights drawn
from a fixed seed, as speed does not depend on them. The stage reads, decodes, resizes, encodes and commits; the model
alone gets what was prepared before. Preparing is of JPEGs of 1000 x 1500 that are made here, in one thread, against
Pillow's `open` and the model's own processor. The sides take turns. A ratio above 1 is faster than the peer. Seconds
are by the clock, for a quiet machine, and of the processor, for one that others use, too.
"""

import argparse
import io
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.texts import seconds, spread

NAME = "resnet18"
BATCH = 32
WANTED = {"stage_over_forward": 0.8, "preparing_over_processor": 1.5}
Side = Callable[[], tuple[float, float]]


def resnet18(folder: Path) -> Path:
    """ResNet-18 as microsoft/resnet-18 configures it, with weights drawn from a fixed seed."""
    import torch
    import transformers
    from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil

    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic"
    )
    transformers.ResNetModel(config).save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": 224}, crop_pct=0.875).save_pretrained(folder)
    return folder


def large(count: int) -> list[bytes]:
    """JPEGs of 1000 x 1500: soft shapes under fine grain, quality 90."""
    random, found = np.random.default_rng(0), list[bytes]()
    for _ in range(count):
        soft = Image.fromarray(random.integers(0, 256, (15, 10, 3), np.uint8)).resize(
            (1000, 1500), Image.Resampling.BICUBIC
        )
        grain = np.asarray(soft, np.int16) + random.integers(-12, 13, (1500, 1000, 1))
        file = io.BytesIO()
        Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(file, "jpeg", quality=90)
        found.append(file.getvalue())
    return found


def in_turns(sides: dict[str, Side], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds by the clock and of the processor, per side and round; each round begins with another side."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for turn in range(rounds):
        for name in (list(sides) * 2)[turn % len(sides) :][: len(sides)]:
            took[name].append(sides[name]())
    return took


def stage_seconds(files: list[bytes], model: Path) -> tuple[float, float]:
    """Read, decode, resize, encode, commit: the stage over a table of these files."""
    from storage.media import MediaFiles
    from storage.store import Store
    from tasks.features import feature_stage
    from tasks.run_stage import run_stage
    from tasks.settings_stages import FeaturizerSettings
    from tests.tasks.plant import plant

    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.create(["media", f"features/{NAME}"])
        put = MediaFiles(store.url).put
        rows = [
            {"item_id": f"i{n}", "kind": "image", "sha256": put(f, "jpeg"), "format": "jpeg", "size_bytes": len(f)}
            for n, f in enumerate(files)
        ]
        plant(store, "media", *rows)
        settings = FeaturizerSettings.model_validate({NAME: {"model": str(model)}}).encoders[NAME]
        stage = feature_stage(NAME, settings, store)
        done: list[int] = []
        took = seconds(lambda: done.append(run_stage(store, stage, build_id="benchmark").done))
    if done != [len(files)]:
        raise RuntimeError(f"{done} of {len(files)} pictures were encoded")
    return took


def against_forward(files: list[bytes], model: Path, rounds: int) -> dict[str, Any]:
    """The stage against the model over tensors that were prepared before, in the same batches."""
    import torch

    from featurizers.hf import as_float32
    from featurizers.hf_pixels import preparation
    from featurizers.registry import featurizer

    encoder = featurizer(NAME, model=str(model))
    prepare = preparation(encoder.processor)
    if prepare is None:
        raise RuntimeError("the processor is one that we do not know")
    tensors = torch.from_numpy(np.stack([prepare(file) for file in files]))

    def forward() -> None:
        for batch in tensors.split(BATCH):
            as_float32(encoder.pooler(encoder.run(pixel_values=batch)))

    stage_seconds(files[:BATCH], model)  # warm
    encoder.run(pixel_values=tensors[:BATCH])
    took = in_turns({"forward": lambda: seconds(forward), "stage": lambda: stage_seconds(files, model)}, rounds)
    return ratio("stage_over_forward", took["forward"], took["stage"], len(files))


def against_processor(files: list[bytes], model: Path, rounds: int) -> dict[str, Any]:
    """Decoding and resizing against Pillow and the processor, and how far the levels lie apart."""
    from featurizers.hf_pixels import preparation
    from featurizers.registry import featurizer

    processor = featurizer(NAME, model=str(model)).processor
    prepare = preparation(processor)
    if prepare is None:
        raise RuntimeError("the processor is one that we do not know")

    def by_processor(data: bytes) -> Any:
        with Image.open(io.BytesIO(data)) as picture:
            return processor(images=[picture.convert("RGB")], return_tensors="np")["pixel_values"][0]

    apart = max(np.abs(prepare(file) - by_processor(file)).mean() for file in files[:4])
    sides: dict[str, Side] = {
        "processor": lambda: seconds(lambda: [by_processor(file) for file in files]),
        "preparing": lambda: seconds(lambda: [prepare(file) for file in files]),
    }
    took = in_turns(sides, rounds)
    found = ratio("preparing_over_processor", took["processor"], took["preparing"], len(files))
    return found | {"mean_levels_apart": round(float(apart * np.mean(processor.image_std) * 255), 2)}


def ratio(name: str, slow: list[tuple[float, float]], fast: list[tuple[float, float]], count: int) -> dict[str, Any]:
    """Ratios round by round and pictures per second, by both clocks."""
    found: dict[str, Any] = {}
    for at, clock in enumerate(("clock", "cpu")):
        pairs = [(a[at], b[at]) for a, b in zip(slow, fast, strict=True)]
        found[f"{clock}_{name}"] = spread([a / b for a, b in pairs])
        found[f"{clock}_{name}_per_second"] = spread([count / b for _, b in pairs])
    return found


def sizes(files: list[bytes]) -> dict[str, int]:
    """The most frequent sizes, and how many pictures have another."""
    counts: Counter[str] = Counter()
    for file in files:
        with Image.open(io.BytesIO(file)) as picture:
            counts[f"{picture.width}x{picture.height}"] += 1
    common = dict(counts.most_common(5))
    return common | {"other": len(files) - sum(common.values())}


def main() -> None:
    """Print pictures per second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=1_000, help="of the folder, at most")
    parser.add_argument("--large", type=int, default=60, help="JPEGs of 1000 x 1500 to prepare")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    files = [path.read_bytes() for path in sorted(args.folder.rglob("*.jpg"))[: args.pictures]]
    with tempfile.TemporaryDirectory() as folder:
        model = resnet18(Path(folder, "resnet18"))
        found: dict[str, Any] = {"pictures": len(files), "sizes": sizes(files)}
        found |= against_forward(files, model, args.rounds)
        found |= against_processor(large(args.large), model, args.rounds)
    if args.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        wanted = WANTED.get(name.removeprefix("clock_").removeprefix("cpu_"))
        print(f"{name:38} {value}{'' if wanted is None else f'   at least {wanted} wanted'}")


if __name__ == "__main__":
    main()
