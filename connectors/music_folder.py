"""A folder of recordings, such as one's own music: one track per file, with what its tags claim."""

from collections.abc import Mapping
from typing import Any, ClassVar

from connectors.base import BulkConnector
from connectors.folders import MediaFolder, claimed_id
from connectors.tags import read_tags

SUFFIXES = frozenset(
    "mp3 mp2 mp1 mpga ogg oga opus spx flac wav wave w64 rf64 aif aiff aifc au snd caf m4a m4b m4r aac mp4 webm weba "
    "mka mkv wma asf ac3 eac3 dts dsf dff wv ape mpc mpp tta tak ofr amr 3gp 3g2 voc".split()
)


def connect(*, path: str, ids: str = "file") -> BulkConnector:
    """Recordings in a folder and the folders beneath it, or one file.

    Args:
        path: The folder.
        ids: Whose ids the files are named by: `file` (the path is the id), `spotify`, `mbid`, ...
    """
    return MusicFolder(path, ids)


class MusicFolder(MediaFolder):
    """Records `track` (what the tags say) and `audio` (the file itself) per recording, both under the file's path.

    The path is below the folder, with "/", percent-encoded where it is no printable text. Tags are claims: a length
    counts when it has been decoded. A file without tags, with broken ones or without a byte is a track all the same.
    """

    name: ClassVar[str] = "music_folder"
    suffixes: ClassVar[frozenset[str]] = SUFFIXES
    holds: ClassVar[str] = "recordings"

    def describe(self, file: str, facts: Mapping[str, Any], digest: str) -> dict[str, dict[str, Any]]:
        """`track` and `audio`; every recording also carries its path as an id, by which pictures find it."""
        ids = dict.fromkeys([*self.claims(file), str(claimed_id("file", file))])
        with self.open(file) as stream:
            tags = read_tags(stream)
        return {"track": {**facts, "ids": list(ids), **tags}, "audio": {**facts, "digest": digest}}
