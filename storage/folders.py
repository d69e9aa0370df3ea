"""Folders of files that are there whole or not at all: trained models, bundles.

`<place>/<id>/<file>` and, written last, `<place>/<id>/manifest.json` with the size and sha256 of each file. A folder
without a manifest is nobody's: a killed process left it, and `sweep` removes it.
"""

import hashlib
import shutil
from collections.abc import Collection, Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from storage.errors import StoreError, told
from storage.objects import Objects, is_local

MANIFEST = "manifest.json"


class Home(Protocol):
    """Where folders lie: a `Store`, or less, as who reads a folder needs no tables."""

    url: str
    objects: Objects


def put_folder(store: Home, place: str, name: str, folder: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Store the files of a folder; its manifest, which holds `about` too.

    Raises:
        StoreError: A folder of that name is there.
    """
    if store.objects.exists(f"{place}/{name}/{MANIFEST}"):
        raise StoreError(f"store {store.url}: {place}/{name} is there; a folder is never changed, choose another name")
    files: dict[str, Any] = {}
    with told(store.url):
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            relative = path.relative_to(folder).as_posix()
            with path.open("rb") as file:
                files[relative] = {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}
            files[relative]["size_bytes"] = path.stat().st_size
            store.objects.upload(path, f"{place}/{name}/{relative}")
        manifest = {**about, "files": files}
        store.objects.write_json(f"{place}/{name}/{MANIFEST}", manifest)
    return manifest


def manifest_of(store: Home, place: str, name: str) -> dict[str, Any]:
    """What the manifest of a folder says.

    Raises:
        StoreError: There is no such folder, or not all of it.
    """
    found = store.objects.read_json(f"{place}/{name}/{MANIFEST}")[0]
    if found is None:
        raise StoreError(f"store {store.url}: {place}/{name} is not there; copy it back from where the store is kept")
    return found


@contextmanager
def folder_on_disk(
    store: Home, place: str, name: str, *, only: Collection[str] = (), hashed: bool = True
) -> Generator[Path]:
    """The folder on this disk, for as long as the context lasts; its files are those of the manifest.

    Sizes are always compared with it; with `hashed`, which reads every file once, sha256 too.

    Raises:
        StoreError: It is not there, or a file is missing or was altered.
    """
    files: Mapping[str, Any] = manifest_of(store, place, name)["files"]
    chosen = {file: said for file, said in files.items() if not only or file in only}
    with ExitStack() as stack:
        if is_local(store.url):
            folder = Path(store.url, place, name)
        else:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="mediateca-")))
            for file in chosen:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                _fetch(store, f"{place}/{name}/{file}", folder / file)
        for file, said in chosen.items():
            _check(folder / file, said, f"store {store.url}: {place}/{name}/{file}", hashed=hashed)
        yield folder


def folders(store: Home, place: str) -> list[str]:
    """Names of the whole folders of a place, sorted."""
    ends = [Path(name).relative_to(place).parts for name in store.objects.names(place)]
    return sorted(parts[0] for parts in ends if len(parts) == 2 and parts[1] == MANIFEST)


def drop_folder(store: Home, place: str, name: str) -> None:
    """Delete a folder, its manifest first: what is left of it after a kill is nobody's."""
    store.objects.delete(f"{place}/{name}/{MANIFEST}")
    for file in store.objects.names(f"{place}/{name}"):
        store.objects.delete(file)


def sweep(store: Home, place: str, kept: Collection[str]) -> int:
    """Delete every folder of a place but these, and what killed processes left; how many files. For the driver."""
    gone = [n for n in store.objects.names(place) if Path(n).relative_to(place).parts[0] not in kept]
    for name in sorted(gone, key=lambda n: not n.endswith(MANIFEST)):
        store.objects.delete(name)
    return len(gone)


def _fetch(store: Home, name: str, path: Path) -> None:
    """By blocks: an index may be larger than the memory. A file that is not there is told by what checks it."""
    try:
        with store.objects.on_disk(name) as copy:
            shutil.copyfile(copy, path)
    except FileNotFoundError:
        return


def _check(path: Path, said: Mapping[str, Any], where: str, *, hashed: bool) -> None:
    if not path.is_file():
        raise StoreError(f"{where} is not there; copy it back from where the store is kept twice, or use another")
    if (size := path.stat().st_size) != said["size_bytes"]:
        raise StoreError(f"{where}: was altered ({size:,} bytes, its manifest says {said['size_bytes']:,})")
    if not hashed:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != said["sha256"]:
        raise StoreError(f"{where}: was altered (sha256 {found[:12]}, its manifest says {said['sha256'][:12]})")
