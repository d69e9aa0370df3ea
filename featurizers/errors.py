"""What featurizers raise about one file or clip; the caller writes it as a row with a reason."""

from storage.reasons import Reason


class MediaError(Exception):
    """One file or clip has no value, for a reason from the closed list."""

    def __init__(self, reason: Reason, detail: str) -> None:
        """`detail` says what was found and what was expected; it holds no path."""
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["MediaError"], tuple[Reason, str]]:
        """By both arguments, so that it survives the way out of a worker process."""
        return type(self), (self.reason, self.detail)
