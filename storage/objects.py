"""Small files beside the tables (the store's description, the lease, pages), on local disk or an object store."""

import json
import os
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import ObjectStore, from_url

Etag = str | None


class Objects:
    """Files under one URL, read and written whole; a write is atomic."""

    def __init__(self, url: str) -> None:
        """`url` is a folder, or what object_store understands."""
        self.url = url
        self._store: ObjectStore | None = None

    def _open(self) -> Any:
        if self._store is None:
            if is_local(self.url):
                self._store = from_url(Path(self.url).resolve().as_uri(), mkdir=True)
            else:
                # Plain http is for test servers on loopback; object_store refuses it unless told.
                http = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
                self._store = from_url(self.url, client_options={"allow_http": http})
        return self._store

    def read_json(self, name: str) -> tuple[dict[str, Any] | None, Etag]:
        """The file's content and its version mark; (None, None) when there is none."""
        if is_local(self.url) and not (Path(self.url) / name).exists():
            return None, None
        try:
            got = obstore.get(self._open(), name)
        except FileNotFoundError:
            return None, None
        return json.loads(bytes(got.bytes())), got.meta.get("e_tag")

    def write_json(self, name: str, value: dict[str, Any], *, only_new: bool = False, replacing: Etag = None) -> bool:
        """Write the file; False when `only_new` and it exists, or when it is no longer the one marked `replacing`."""
        mode: Any = "create" if only_new else {"e_tag": replacing} if replacing else "overwrite"
        try:
            obstore.put(self._open(), name, json.dumps(value, indent=1).encode(), mode=mode)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    def read(self, name: str) -> bytes | None:
        """The file's content; None when there is none."""
        if is_local(self.url) and not (Path(self.url) / name).exists():
            return None
        try:
            return bytes(obstore.get(self._open(), name).bytes())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write the file, or write it anew."""
        obstore.put(self._open(), name, content)

    def names(self, folder: str) -> list[str]:
        """Names of all files in the folder and beneath."""
        if is_local(self.url) and not (Path(self.url) / folder).exists():
            return []
        return sorted(str(found["path"]) for page in obstore.list(self._open(), f"{folder}/") for found in page)

    def delete(self, name: str) -> None:
        """Remove the file if it is there."""
        try:
            obstore.delete(self._open(), name)
        except FileNotFoundError:
            return


def is_local(url: str) -> bool:
    """Whether the URL is a folder of this machine."""
    return "://" not in url
