"""The dataset card: a README.md that `datasets` and the Hugging Face hub read, and people."""

import html
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.export_snippets import snippets

_MARKS = re.compile(r"([\\`*\[\]|~$]|(?<!\w)_|_(?!\w))")  # _ within a word marks nothing
_CODE = re.compile(r"[A-Za-z0-9./-]*[_/][A-Za-z0-9_./-]*")
_TURNS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # they would reorder what follows
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
          (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))  # fmt: skip


def card(facts: Mapping[str, Any]) -> str:
    """The card of an export, from what its manifest says and `examples` of its items."""
    title = plain(f"{facts['catalogue']}, release {facts['release']}")
    parts = [
        f"# {escaped(title)}",
        escaped(facts["about"], 2_000) or "A multimodal recommendation dataset.",
        _origin(facts),
        "## Licence\n\n" + _licence(facts),
        "## Configs\n\n" + _configs(facts),
        "## Coverage\n\n" + _coverage(facts),
        "## Sources\n\n" + _table(facts["sources"]),
        "## A few items\n\n" + _examples(facts["examples"]),
        "## Loading\n\n" + snippets(facts["configs"], with_mel=_has_values(facts, "features/mel")),
        "## Splits\n\n" + _SPLITS,
        "## Columns\n\n" + "\n\n".join(_columns(config) for config in facts["configs"]),
        "## How it was made\n\n" + _made(facts),
    ]
    return f"---\n{_front(facts, title)}---\n" + "\n\n".join(parts) + "\n"


_SPLITS = (
    "There is none: `datasets` calls the whole of each config `train`. A split without leaks depends on the task (time "
    "of the events, users, new items) and on which recordings or films are the same, so it is made by the training, "
    "from `interactions` sorted by user and time."
)
_LICENCE = (
    "**To be filled in by whoever publishes this.** `license: unknown` above is what the exporter knows: the licences "
    "of the sources below hold for what came from them, they differ, and nobody but you knows the terms you got "
    "them under."
)
_MEDIA_LICENCE = (
    " Recordings and pictures usually belong to somebody; `mediateca export --no-media` leaves them out and keeps what "
    "was computed from them."
)


# --- text of others in Markdown


def plain(text: str, limit: int = 120) -> str:
    """One line without control characters or marks that turn the direction of writing."""
    kept = (" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else "" if c in _TURNS else c for c in text)
    line = " ".join("".join(kept).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def escaped(text: str, limit: int = 120) -> str:
    """Text of a source as Markdown that shows it, whatever it holds."""
    return _MARKS.sub(r"\\\1", html.escape(plain(text, limit), quote=False)).replace("://", "&#58;//")


class Ours(str):
    """Markdown of our own, to be shown as it is."""


def _has_values(facts: Mapping[str, Any], modality: str) -> bool:
    return any(c["modality"] == modality and c["values"] for c in facts["coverage"])


def _cell(value: Any) -> str:
    if isinstance(value, Ours):
        return value
    if isinstance(value, str) and _CODE.fullmatch(value) and len(value) <= 120:
        return f"`{value}`"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return escaped("" if value is None else ", ".join(value) if isinstance(value, list) else str(value))


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "None."
    head = "| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0])
    return head + "".join("\n| " + " | ".join(_cell(v) for v in row.values()) + " |" for row in rows)


# --- parts


def _front(facts: Mapping[str, Any], title: str) -> str:
    import yaml

    configs = facts["configs"]
    held = {c["config"] for c in configs if c["rows"]}
    rows = max((c["rows"] for c in configs), default=0)
    tags = ["recommender-systems", "multimodal", "mediateca"]
    tags += [tag for tag, names in (("audio", {"audio", "audio_native"}), ("image", {"images"})) if held & names]
    front = {
        "pretty_name": title,
        "license": "unknown",
        "size_categories": [next((name for most, name in _SIZES if rows < most), "n>1B")],
        "tags": tags,
        "configs": [
            {"config_name": c["config"], "data_files": f"{c['folder']}/*.parquet"}
            | ({"default": True} if c["config"] == "items" else {})
            for c in configs
            if c["rows"]  # `datasets` has no split without rows
        ],
    }
    return yaml.safe_dump(front, sort_keys=False, allow_unicode=True)


def _origin(facts: Mapping[str, Any]) -> str:
    partial = " A quota was used up while it was built: keys are missing that a later release has." * facts["partial"]
    return (
        f"Release {escaped(facts['release'])} of {facts['created_at']}, by mediateca {escaped(facts['code_version'])}."
        f"{partial}\n\n`sha256sum -c SHA256SUMS` checks the files; `manifest.json` says all of this for programs. Rows "
        "are sorted by `item_id`, those of `interactions` by user and time. A row with a `reason` has no value and "
        "says why; `detail` is free text."
    )


def _licence(facts: Mapping[str, Any]) -> str:
    names = {c["config"] for c in facts["configs"]}
    return _LICENCE + _MEDIA_LICENCE * bool(names & {"audio", "audio_native", "images"})


def _configs(facts: Mapping[str, Any]) -> str:
    rows = [
        {"config": c["config"], "rows": c["rows"], "MB": f"{c['bytes'] / 1e6:,.2f}", "what": _about(c)}
        for c in facts["configs"]
    ]
    lost = facts["media_left_out"]
    told = [f"{name}: {count:,} {why}" for name, counts in lost.items() for why, count in counts.items()]
    note = f"\n\nMedia files left out, because the store no longer held them whole: {', '.join(told)}." if told else ""
    return _table(rows) + note


def _coverage(facts: Mapping[str, Any]) -> str:
    rows = [
        {
            "modality": c["modality"],
            "items with a value": c["values"],
            "of": c["items"],
            "share": f"{c['share']:.1%}",
            "why not": ", ".join(f"{reason} {count:,}" for reason, count in c["reasons"].items()),
        }
        for c in facts["coverage"]
    ]
    return _table(rows)


def _about(config: Mapping[str, Any]) -> str:
    """Features may name a model as the catalogue writes it; the rest is ours."""
    return config["about"] if config["folder"].startswith("features/") else Ours(config["about"])


def _examples(rows: Sequence[Mapping[str, Any]]) -> str:
    return _table([dict(row) | {"year": str(row["year"] or "")} for row in rows])


def _columns(config: Mapping[str, Any]) -> str:
    text = f"### {config['config']}\n\n" + _table([row | {"about": Ours(row["about"])} for row in config["columns"]])
    if not (vector := config.get("vector")):
        return text
    unit = f", {escaped(vector['unit'])}" if vector.get("unit") else ""
    text += f"\n\n{vector['dimension']} numbers{unit}; version `{plain(vector['version'])}`."
    cells = [escaped(c["name"]) + (f" ({escaped(c['unit'])})" if c["unit"] else "") for c in vector.get("cells", [])]
    return text + (f" In order: {', '.join(cells)}." if cells else "")


def _made(facts: Mapping[str, Any]) -> str:
    said = {"catalogue hash": facts["catalogue_hash"], "vectors": facts["vectors"]}
    said |= {f"stage {name}": version for name, version in facts["stages"].items()}
    said |= {f"weights {name}": version for name, version in facts["weights"].items()}
    said |= {f"library {name}": version for name, version in facts["libraries"].items()}
    return _table([{"what": name, "version": value} for name, value in said.items()])
