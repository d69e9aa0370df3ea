"""Covers, posters and thumbnails in any size: files of the world, or drawn when they are first asked for."""

import io
import threading
from collections import OrderedDict
from pathlib import Path

from deployments.sandbox import drawings
from deployments.sandbox.dice import Dice
from deployments.sandbox.tables import PictureRow, read_table

KEPT = 4_000  # pictures kept in memory, about 15 kB each
_ORIGINAL = {"poster": (500, 750), "cover": (640, 640)}


class Pictures:
    """The pictures of a world; safe for threads."""

    def __init__(self, world: Path) -> None:
        self._world = world
        rows = read_table(world, "pictures", PictureRow)
        self._rows = {row.id: row for row in rows}
        self._short = {row.id[:24]: row for row in rows}
        self._made: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, name: str) -> PictureRow | None:
        """The picture of that name, or of the first 24 letters of it, as Spotify's links hold."""
        return self._rows.get(name) or self._short.get(name)

    def jpeg(self, row: PictureRow, width: int | None, shape: str = "cover") -> bytes:
        """The picture as JPEG.

        Args:
            row: Which one.
            width: In pixels; None for its own size.
            shape: `cover` (square) or `poster` (two by three), for those that are drawn.
        """
        full = _ORIGINAL[shape]
        size = full if width is None else (width, width * full[1] // full[0])
        key = (row.id, *size)
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        made = self._render(row, size, width is None)
        with self._lock:
            self._made[key] = made
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
        return made

    def _render(self, row: PictureRow, size: tuple[int, int], original: bool) -> bytes:
        from PIL import Image

        if row.file is not None:
            path = self._world / row.file
            if original:
                return path.read_bytes()
            with Image.open(path) as opened:
                opened.draft("RGB", size)
                picture = opened.convert("RGB")
            picture = picture.resize((size[0], max(1, picture.height * size[0] // picture.width)))
        else:
            small = drawings.POSTER if size[0] != size[1] else drawings.COVER
            drawn = drawings.draw(Dice(row.seed), row.genre, small)
            picture = Image.fromarray(drawn).resize(size, Image.Resampling.BICUBIC)
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=80)
        return out.getvalue()
