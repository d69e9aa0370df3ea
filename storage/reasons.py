"""The closed list of reason codes: why a key has no value, or why an input row was refused."""

from enum import StrEnum


class Reason(StrEnum):
    """One word that can be counted; free text goes to the column `detail`."""

    # An attempted key without a value.
    NOT_FOUND = "not_found"  # the source was asked and has nothing
    EMPTY = "empty"  # the source has it and it is empty; a value (an instrumental), not a gap
    MISSING_INPUT = "missing_input"  # what it is computed from has no value itself
    NO_WEIGHTS = "no_weights"  # the encoder's weights are not at hand
    QUOTA = "quota"  # the source's quota is used up; tried again when it is renewed
    BLOCKED_PAGE = "blocked_page"  # a captcha, consent or block page came in place of the answer
    NO_ACCESS = "no_access"  # a key is missing or was refused
    UNREACHABLE = "unreachable"  # time-outs or 5xx after all retries
    DECODE_ERROR = "decode_error"  # the file or a part of it cannot be parsed at all
    TOO_SHORT = "too_short"  # less audio than the least that is worth a window
    TOO_LARGE = "too_large"  # refused by its size or its declared size, before decoding
    NOT_FINITE = "not_finite"  # the encoder gave a number that is none, as some do in half precision
    SILENT = "silent"  # every sample is below hearing, or the Mel spectrogram has no range
    SCHEMA_DRIFT = "schema_drift"  # a response lacks a field that we need
    LOW_RECALL = "low_recall"  # the index is there and can be asked, but finds fewer true neighbours than wanted
    INTERNAL_ERROR = "internal_error"  # a fault of ours on one item; the detail names it
    REMOVED = "removed"  # a tombstone: the input is gone; the reader hides it
    TAKEN_DOWN = "taken_down"  # removed on request and kept out of later runs

    # A row of an input file that was refused.
    BAD_ROW = "bad_row"  # wrong number of fields, or a line cut short
    BAD_VALUE = "bad_value"  # a field is not of its type or outside its range
    BAD_ENCODING = "bad_encoding"  # bytes that are not text in the file's encoding
    DUPLICATE = "duplicate"  # the same key was given before, within 16 MB of this file
    NOT_MEDIA = "not_media"  # a file in a media folder that is neither audio nor a picture
    UNREADABLE = "unreadable"  # a file or folder that cannot be opened: no permission, a broken link, a loop


TRANSIENT = frozenset({Reason.QUOTA, Reason.UNREACHABLE, Reason.BLOCKED_PAGE, Reason.NO_ACCESS, Reason.NO_WEIGHTS})
"""What is said of the source, or this machine, at that hour and nothing of the item: a value that is there stays in its
place."""
