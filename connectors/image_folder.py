"""A folder of pictures named by id: posters, covers, or pictures that are items themselves."""

from collections.abc import Mapping
from typing import Any, ClassVar

from connectors.base import BulkConnector
from connectors.folders import MediaFolder

SUFFIXES = frozenset(
    "jpg jpeg jpe jfif png apng gif webp avif avifs heic heif bmp dib tif tiff ppm pgm pbm pnm jp2 j2k jpx mpo ico "
    "icns psd tga pcx".split()
)


def connect(*, path: str, ids: str = "file") -> BulkConnector:
    """Pictures in a folder and the folders beneath it, or one file.

    Args:
        path: The folder.
        ids: Whose ids the files are named by: `movielens`, `tmdb`, `imdb`, `spotify`, ..., or `file`: a picture belongs
            to the recording of the same path but for the extension.
    """
    return ImageFolder(path, ids)


class ImageFolder(MediaFolder):
    """One record `image` per picture, under the file's path; its `ids` are what the name claims to show.

    How a name is read as an id: `connectors.folders.claimed_id`.
    """

    name: ClassVar[str] = "image_folder"
    suffixes: ClassVar[frozenset[str]] = SUFFIXES
    holds: ClassVar[str] = "pictures"

    def describe(self, file: str, facts: Mapping[str, Any], digest: str) -> dict[str, dict[str, Any]]:
        """The picture; nothing of it is decoded here."""
        return {"image": {**facts, "digest": digest, "ids": self.claims(file)}}
