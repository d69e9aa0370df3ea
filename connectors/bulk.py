"""What the bulk connectors share: parts, digests, pages and cursors, headers."""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import ClassVar

from connectors import lines
from connectors.base import Page, Part, Record, Reject
from connectors.errors import NotFound, SchemaDrift
from connectors.lines import blocks, hash_range, line_span
from connectors.rows import (
    TEXT_LIMIT,
    Line,
    Refused,
    Row,
    parse_csv,
    reject,
    text_lines,
)
from storage.reasons import Reason

PART_BYTES = 64 << 20
PAGE_RECORDS = 50_000  # a record of a short line takes about 1 kB as Python objects, 30 times its bytes in the file
HEADER_BYTES = 1 << 20
YEAR_2100 = 4_102_444_800  # unix seconds


def unreadable(line: bytes) -> str | None:
    """Why a file that begins with this line is none of text lines as expected, and what helps; None where it is."""
    if line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in line:
        return "is UTF-16 or no text, expected UTF-8; `iconv -f UTF-16 -t UTF-8` or a spreadsheet's 'CSV UTF-8' helps"
    if b"\r" in line.rstrip(b"\r\n"):
        return "ends its lines with a carriage return alone, expected a line feed; `tr '\\r' '\\n'` helps"
    return None


class BulkFiles:
    """Base of the bulk connectors: a folder or a file, pages by part, and a cursor.

    A subclass lists its parts and reads one of them (`_read`); the last page of a part moves the cursor on.
    """

    name: ClassVar[str]
    entities: ClassVar[frozenset[str]]

    def __init__(self, path: str) -> None:
        self.path = Path(path).expanduser()
        if not self.path.exists():
            raise ValueError(f"{self.name}: there is no '{path}'; expected a folder or a file; check `path`")
        self.root = self.path if self.path.is_dir() else self.path.parent

    def parts(self) -> list[Part]:
        """What there is to read."""
        raise NotImplementedError

    def digest(self, part: Part) -> str:
        """Hash of the bytes of the lines that start in the part."""
        with self.open(part.file) as stream:
            return hash_range(stream, *line_span(stream, part))

    def pages(self, entity: str, *, keys: Sequence[Part] | None = None, cursor: str | None = None) -> Iterator[Page]:
        """Pages of the parts in order, lazily; every part gives at least one page.

        Raises:
            ValueError: The entity is not one of this source, a part is of another one, or the cursor is no number.
            SchemaDrift: A file lacks a column.
            NotFound: A file is gone.
        """
        if entity not in self.entities:
            known = ", ".join(sorted(self.entities))
            raise ValueError(f"{self.name}: unknown entity '{entity}'; known: {known}")
        if cursor is not None and not re.fullmatch("[0-9]{1,9}", cursor):
            raise ValueError(f"{self.name}: cursor '{cursor}' is not the number of a part; pass on a page's own cursor")
        parts = [part for part in self.parts() if part.entity == entity] if keys is None else list(keys)
        for part in parts:
            if part.entity != entity:
                raise ValueError(f"{self.name}: part '{part.key}' is of '{part.entity}', expected '{entity}'")
        return self._pages(parts, int(cursor or 0))

    def _pages(self, parts: Sequence[Part], first: int) -> Iterator[Page]:
        for index in range(first, len(parts)):
            pages = self._read(parts[index])
            page = next(pages, Page())
            for following in pages:
                yield replace(page, part=parts[index], cursor=str(index))
                page = following
            yield replace(page, part=parts[index], cursor=str(index + 1) if index + 1 < len(parts) else None)

    def close(self) -> None:
        """Nothing is held open between pages."""

    def open(self, file: str) -> BufferedReader:
        """The bytes of one of the source's files.

        Raises:
            NotFound: The file is gone, or cannot be read.
        """
        try:
            return self._at(file).open("rb")
        except OSError as exc:
            raise self._gone(file, exc) from exc

    def changed_at(self, file: str) -> datetime:
        """When a file was last changed.

        Raises:
            NotFound: The file is gone.
        """
        return datetime.fromtimestamp(self._stat(file).st_mtime, UTC)

    def lines(self, part: Part, *, fallback: str | None = None) -> Iterator[Line]:
        """The lines of a part that are not blank."""
        with self.open(part.file) as stream:
            for block in blocks(stream, part):
                yield from text_lines(block, fallback)

    def header(self, file: str, separator: str = ",") -> list[str]:
        """The column names of a file; no more than its first line is read.

        Raises:
            SchemaDrift: The file is empty, of another encoding, or its lines end otherwise.
        """
        with self.open(file) as stream:
            line = stream.readline(HEADER_BYTES).removeprefix(lines.BOM)
        if found := unreadable(line):
            raise SchemaDrift(f"{self.name}: '{file}' {found}", source=self.name, url=file)
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text.strip():
            raise SchemaDrift(
                f"{self.name}: '{file}' is empty or starts with an empty line, expected a header; get the file again",
                source=self.name,
                url=file,
            )
        with suppress(Refused):
            return [name.strip() for name in parse_csv(text, separator) or []]
        return text.split(separator)

    def column_names(self, file: str) -> list[str]:
        """The column names of a file that may be of another kind: none where it starts with an empty line."""
        with suppress(SchemaDrift):
            return self.header(file)
        return []

    def columns(self, file: str, header: Sequence[str], wanted: Sequence[str]) -> dict[str, int]:
        """Where each wanted column is.

        Raises:
            SchemaDrift: One is missing; the message names it, the nearest, and those found.
        """
        for name in wanted:
            if name not in header:
                near = difflib.get_close_matches(name, header, n=1, cutoff=0.4)
                hint = f" (nearest: '{near[0]}')" if near else ""
                raise SchemaDrift(
                    f"{self.name}: '{file}' has no column '{name}'{hint}; found: {', '.join(header)[:TEXT_LIMIT]}; "
                    f"expected: {', '.join(wanted)}; rename the column or get the file again",
                    source=self.name,
                    url=file,
                )
        return {name: header.index(name) for name in wanted}

    def part(self, entity: str, file: str) -> Part:
        """A whole file as one part."""
        stat = self._stat(file)
        return Part(entity=entity, file=file, stat=f"{stat.st_size}-{stat.st_mtime_ns}", size_bytes=stat.st_size)

    def ranges(self, entity: str, file: str) -> list[Part]:
        """A file of lines as parts of `PART_BYTES`; the last one is open, so that a file that grows keeps its parts."""
        whole = self.part(entity, file)
        starts = range(0, max(whole.size_bytes, 1), PART_BYTES)
        ends = [*starts[1:], None]
        return [
            replace(whole, start=start, end=end, size_bytes=(end or whole.size_bytes) - start)
            for start, end in zip(starts, ends, strict=True)
        ]

    def _read(self, part: Part) -> Iterator[Page]:
        raise NotImplementedError

    def _stat(self, file: str) -> os.stat_result:
        try:
            return self._at(file).stat()
        except OSError as exc:
            raise self._gone(file, exc) from exc

    def _at(self, file: str) -> Path:
        return self.root / file

    def _gone(self, file: str, exc: OSError) -> NotFound:
        why = exc.strerror or type(exc).__name__
        message = f"{self.name}: cannot read '{file}' ({why}), expected a file that `parts()` listed; run again"
        return NotFound(message, source=self.name, url=file)


def record_pages(part: Part, rows: Iterable[Row | Reject], make: Callable[[Row], Record]) -> Iterator[Page]:
    """Pages of the records that `make` makes of rows; a second one of the same id within a page is refused."""
    records: dict[str, Record] = {}
    rejects: list[Reject] = []
    size = 0
    for row in rows:
        size += len(row.text)
        if isinstance(row, Reject):
            rejects.append(row)
        else:
            try:
                record = make(row)
                if record.source_id in records:
                    raise Refused(f"id {record.source_id} was given before", Reason.DUPLICATE)
                records[record.source_id] = record
            except Refused as bad:
                rejects.append(reject(part, row.line, bad.reason, bad.detail, row.text))
        if size >= lines.PAGE_BYTES or len(records) + len(rejects) >= PAGE_RECORDS:
            yield Page(records=tuple(records.values()), rejects=tuple(rejects))
            records, rejects, size = {}, [], 0
    if records or rejects:
        yield Page(records=tuple(records.values()), rejects=tuple(rejects))
