"""pyarrow has no types of its own: its values are Any, so that the checker speaks of our code."""

from typing import Any

def __getattr__(name: str) -> Any: ...
