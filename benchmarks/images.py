"""What proving and storing a picture adds: decode only against prove + sha256 + file, on real pictures, in turns.

    python -m benchmarks.images FOLDER [--rounds 5] [--place DIR] [--json]

FOLDER holds pictures, such as $MEDIATECA_REAL_DATA/posters. All sides get the bytes from memory. Decode only is
Pillow's `open` and `load`; prove is `featurizers.images.prove`; store adds `MediaFiles.put` into an empty store each
round. The sides take turns picture by picture. The ratio is the time of decode only over that of the other: 1 is as
fast as decoding alone, 0.6 is the least wanted. Look at CPU seconds (user and system) where others use the machine.
What a new file costs is the file system's: a store in memory (`--place /dev/shm`) shows what is ours.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from featurizers.base import MediaError
from featurizers.images import prove
from storage.media import MediaFiles


def decode(data: bytes) -> None:
    """Pillow alone."""
    from PIL import Image

    Image.open(BytesIO(data)).load()


def proven(pictures: list[bytes]) -> list[bytes]:
    """Those that are a value; also the warm-up of both sides."""
    good: list[bytes] = []
    for data in pictures:
        try:
            prove(data)
            decode(data)
            good.append(data)
        except MediaError:
            continue
    return good


def one_round(pictures: list[bytes], turn: int, place: Path | None) -> dict[str, dict[str, float]]:
    """Seconds of each side over all pictures, of CPU and by the clock."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        media = MediaFiles(folder)
        sides: list[tuple[str, Callable[[bytes], Any]]] = [
            ("decode", decode),
            ("prove", prove),
            ("store", lambda data: media.put(data, prove(data).format)),
        ]
        took = {clock: dict.fromkeys((name for name, _ in sides), 0.0) for clock in ("cpu", "clock")}
        for at, data in enumerate(pictures):
            first = (at + turn) % len(sides)
            for name, one in sides[first:] + sides[:first]:
                cpu, clock = time.process_time(), time.perf_counter()
                one(data)
                took["clock"][name] += time.perf_counter() - clock
                took["cpu"][name] += time.process_time() - cpu
    return took


def measure(folder: Path, rounds: int, place: Path | None) -> dict[str, Any]:
    """Milliseconds per picture of each side, and the ratios round by round."""
    pictures = proven([path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()])
    took = [one_round(pictures, turn, place) for turn in range(rounds)]
    found: dict[str, Any] = {"pictures": len(pictures), "rounds": rounds}
    for clock in ("cpu", "clock"):
        found[clock] = {
            name: {
                "ms": round(statistics.median(one[clock][name] for one in took) / len(pictures) * 1e3, 3),
                "ratio": spread([one[clock]["decode"] / one[clock][name] for one in took]),
            }
            for name in ("decode", "prove", "store")
        }
    return found


def spread(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def main() -> None:
    """Print milliseconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--place", type=Path, help="where the store lies, such as /dev/shm")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measure(args.folder, args.rounds, args.place)
    if args.json:
        print(json.dumps(found))
        return
    print(f"{found['pictures']} pictures, {found['rounds']} rounds in turns")
    for clock in ("cpu", "clock"):
        for name, side in found[clock].items():
            ratio = side["ratio"]
            print(
                f"{clock:5} {name:6} {side['ms']:6.2f} ms   {ratio['median']} (from {ratio['min']} to {ratio['max']})"
            )


if __name__ == "__main__":
    main()
