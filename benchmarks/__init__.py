"""Measured claims, one module each: `python -m benchmarks.<name> [--json]`."""

import os
import sys
from pathlib import Path


def real_data() -> Path:
    """The folder of public data sets; ends the program with a line where it is not named."""
    if not (told := os.environ.get("MEDIATECA_REAL_DATA")):
        sys.exit("MEDIATECA_REAL_DATA is not set: name the folder of public data sets (README.md, 'Real files')")
    return Path(told)
