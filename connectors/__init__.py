"""One file per source; each yields what the source said, unchanged."""
