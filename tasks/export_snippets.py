"""How to load an export: Python that runs in its folder, as it stands; a test runs every block."""

from collections.abc import Mapping, Sequence
from typing import Any

_ITEMS = """
import os

from datasets import load_dataset

items = load_dataset(os.getcwd(), "items", split="train")  # on the hub: load_dataset("you/name", "items", ...)
print(items[0]["title"], items.features)
"""
_DUCKDB = """
import duckdb

print(duckdb.sql("select kind, count(*) from 'items/*.parquet' group by kind"))
"""
_PLAYS = """
import duckdb

print(duckdb.sql(\"\"\"
    select i.title, count(*) as events
    from 'interactions/*.parquet' join 'items/*.parquet' i using (item_id)
    group by all order by events desc limit 10
\"\"\"))
"""
_VECTORS = """
import numpy as np
import polars as pl

rows = pl.scan_parquet("{folder}/*.parquet").filter(pl.col("value").is_not_null()).collect()
vectors = rows["value"].to_numpy()  # (n, {dimension})
ids = rows["item_id"].to_list()
print(vectors.shape, np.isfinite(vectors).all())
"""
_PANDAS = """
import pandas as pd

items = pd.read_parquet("items")
print(items[["title", "year"]].head())
"""
_MEL = """
import numpy as np
import polars as pl

rows = pl.scan_parquet("features/mel/*.parquet").filter(pl.col("value").is_not_null()).head(1).collect()
row = rows.row(0, named=True)
q = np.frombuffer(row["value"], np.uint8).reshape(row["bands"], row["frames"])
unit = q / 255  # in [0, 1]: the min-max view
db = row["db_lo"] + unit * (row["db_hi"] - row["db_lo"])  # dB re 1, off by (db_hi - db_lo) / 510 at most
print(db.shape, db.min(), db.max())
"""
_AUDIO = """
import io
import os

import soundfile
from datasets import Audio, load_dataset

audio = load_dataset(os.getcwd(), "{config}", split="train")  # where torchcodec is installed, audio[0] is decoded
row = audio.cast_column("audio", Audio(decode=False))[0]
wave, rate_hz = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
print(row["item_id"], wave.shape, rate_hz)
"""
_IMAGES = """
import os

from datasets import load_dataset

images = load_dataset(os.getcwd(), "images", split="train")
print(images[0]["item_id"], images[0]["image"].size)
"""
_MEL_NOTE = (
    "Spectrograms are bytes, kept once and without loss of their own: 128 Mel bands, 2,048 samples per window, a hop "
    "of 512 at 22,050 Hz."
)
_AUDIO_NOTE = (
    "Windows are FLAC of 24 bits, which any reader takes. What 24 bits cannot hold (bits below, for quiet clips, and "
    "samples beyond full scale) lies in an APPLICATION block named `mdtc` that other readers skip: "
    "`featurizers.flac.decode_flac` of mediateca puts it back, and the features were computed with it."
)


def snippets(configs: Sequence[Mapping[str, Any]], *, with_mel: bool) -> str:
    """Blocks for the configs that have rows, to be run in the export's folder; `with_mel`: there is a spectrogram."""
    held = {c["config"]: c for c in configs if c["rows"]}
    vectors = max((c for c in held.values() if "vector" in c), key=lambda c: c["vector"]["dimension"], default=None)
    parts = ["Every block runs as it stands in this folder."]
    if "items" in held:
        parts += ["With `datasets`:", _block(_ITEMS), "With DuckDB:", _block(_DUCKDB)]
        parts += [_block(_PLAYS)] if "interactions" in held else []
        parts += ["With pandas:", _block(_PANDAS)]
    if vectors and vectors["vector"]["dimension"]:
        filled = _VECTORS.format(folder=vectors["folder"], dimension=vectors["vector"]["dimension"])
        parts += ["Vectors, with Polars and numpy:", _block(filled)]
    if with_mel and "features_mel" in held:
        parts += [_MEL_NOTE, _block(_MEL)]
    sounds = [name for name in ("audio", "audio_native") if name in held]
    parts += [_AUDIO_NOTE] if sounds else []
    parts += [_block(_AUDIO.format(config=name)) for name in sounds]
    parts += ["Pictures:", _block(_IMAGES)] if "images" in held else []
    return "\n\n".join(parts)


def _block(code: str) -> str:
    return f"```python\n{code.strip()}\n```"
