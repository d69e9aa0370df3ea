"""One file per family of features; each turns one modality into arrays."""
