"""What one decode for all image encoders would save: CPU seconds of decoding, preparing and encoding, in turns.

    python -m benchmarks.shared_decode FOLDER [--pictures 100] [--rounds 3] [--json]

FOLDER holds pictures, such as $MEDIATECA_REAL_DATA/posters; they are taken as they are, and once more as JPEGs of
1000 x 1500. Each encoder has the real architecture and preparation, with weights drawn at random, which cost the same.
The encoders take turns picture by picture (models: eight pictures at a time), on one thread, so that CPU seconds hold
no waiting. Encoders could share a decode where they draft at the same size: else one would get other pixels than alone.
The saving is the decodes that fall away, over all that preparing and encoding a picture for each of the encoders takes.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from featurizers.base import MediaError
from featurizers.hf_pixels import Preparation
from featurizers.images import prove

SETS = (("resnet18", "resnet50"), ("resnet18", "clip"), ("resnet18", "resnet50", "dino", "dinov2", "clip"))
_BATCH = 8


def preparations() -> dict[str, Preparation]:
    """As the processors of the known encoders do, by the geometry of their `preprocessor_config.json`."""
    one = np.ones(3, np.float32)
    crop: dict[str, Any] = {"square": False, "crop": (224, 224), "resample": 3, "scale": one, "shift": one}
    shorter = Preparation(side=256, **crop)
    return {
        "resnet18": shorter,
        "resnet50": shorter,
        "dino": Preparation(side=224, square=True, crop=None, resample=2, scale=one, shift=one),
        "dinov2": shorter,
        "clip": Preparation(side=224, **crop),
    }


def models() -> dict[str, Any]:
    """The architectures of the known encoders."""
    import transformers as t

    small: dict[str, Any] = {"hidden_size": 384, "num_attention_heads": 6}
    basic = t.ResNetConfig(hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic")
    return {
        "resnet18": t.ResNetModel(basic).eval(),
        "resnet50": t.ResNetModel(t.ResNetConfig()).eval(),
        "dino": t.ViTModel(t.ViTConfig(intermediate_size=1536, **small)).eval(),
        "dinov2": t.Dinov2Model(t.Dinov2Config(patch_size=14, image_size=518, **small)).eval(),
        "clip": t.CLIPVisionModelWithProjection(t.CLIPVisionConfig()).eval(),
    }


def decoded(data: bytes, prepare: Preparation) -> tuple[int, int]:
    """Decode as for this encoder; the size at which it was."""
    image = Image.open(BytesIO(data))
    target = prepare.target(image.size)
    image.draft(None, (2 * target[0], 2 * target[1]))
    return image.convert("RGB").size


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of it, and what it gives."""
    before = time.process_time()
    found = work()
    return time.process_time() - before, found


def one_round(pictures: Sequence[bytes], nets: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds per picture of each encoder's preparation and model, and the share that each set would save."""
    import torch

    ways, took = preparations(), {name: {"prepare": 0.0, "model": 0.0} for name in nets}
    saved = dict.fromkeys(SETS, 0.0)
    for data in pictures:
        decodes = {name: spent(partial(decoded, data, way)) for name, way in ways.items()}
        for name, way in ways.items():
            took[name]["prepare"] += spent(partial(way, data))[0]
        for names in SETS:
            sizes = {decodes[name][1]: decodes[name][0] for name in names}
            saved[names] += sum(decodes[name][0] for name in names) - sum(sizes.values())
    pixels = torch.zeros(_BATCH, 3, 224, 224)
    with torch.inference_mode():
        for _ in range(3):
            for name, net in nets.items():
                took[name]["model"] += spent(partial(net, pixels))[0] * len(pictures) / _BATCH / 3
    whole = {names: sum(sum(took[name].values()) for name in names) for names in SETS}
    return {
        "ms": {name: {k: v / len(pictures) * 1e3 for k, v in parts.items()} for name, parts in took.items()},
        "saved": {"+".join(names): saved[names] / whole[names] for names in SETS},
    }


def as_large(data: bytes) -> bytes:
    """The same picture as a JPEG of 1000 x 1500."""
    file = BytesIO()
    Image.open(BytesIO(data)).convert("RGB").resize((1000, 1500)).save(file, "jpeg", quality=90)
    return file.getvalue()


def usable(folder: Path) -> list[bytes]:
    """Its pictures that decode."""
    good: list[bytes] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            prove(data := path.read_bytes())
        except MediaError:
            continue
        good.append(data)
    return good


def main() -> None:
    """Measure and print."""
    said = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    said.add_argument("folder", type=Path)
    said.add_argument("--pictures", type=int, default=100)
    said.add_argument("--rounds", type=int, default=3)
    said.add_argument("--json", action="store_true")
    args = said.parse_args()
    import torch

    torch.set_num_threads(1)
    found = usable(args.folder)
    small = list(islice(found, 0, None, max(1, len(found) // args.pictures)))[: args.pictures]
    nets, out = models(), {}
    for name, pictures in (("as they are", small), ("1000 x 1500", [as_large(data) for data in small[:40]])):
        rounds = [one_round(pictures, nets) for _ in range(args.rounds)]
        out[name] = {
            "ms": {
                k: {w: statistics.median(r["ms"][k][w] for r in rounds) for w in v} for k, v in rounds[0]["ms"].items()
            },
            "saved": {k: sorted(r["saved"][k] for r in rounds) for k in rounds[0]["saved"]},
        }
    print(json.dumps(out, indent=1) if args.json else told(out))


def told(out: dict[str, Any]) -> str:
    """As lines."""
    lines: list[str] = []
    for name, measured in out.items():
        lines.append(f"{name}: CPU ms per picture, to prepare and to encode")
        lines += [f"  {k:9} {v['prepare']:6.1f} {v['model']:6.1f}" for k, v in measured["ms"].items()]
        for k, v in measured["saved"].items():
            lines.append(f"  one decode for {k} saves {statistics.median(v):.1%} ({v[0]:.1%} to {v[-1]:.1%})")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
