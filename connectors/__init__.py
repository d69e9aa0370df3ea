"""One file per source; each yields what the source said, unchanged."""

import os

PLUGINS = "MEDIATECA_PLUGINS"
"""A folder of connectors of one's own, as `mediateca new connector` writes it."""

# Imported as `connectors.NAME` like ours, and after them: a file there takes nobody's place. Workers inherit it.
if folder := os.environ.get(PLUGINS):
    __path__.append(os.path.abspath(os.path.expanduser(folder)))
