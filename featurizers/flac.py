"""Float windows as FLAC that any player reads, with what 24 bits cannot hold in a metadata block of our own.

Measured over the 35 recordings of a real set with sound in them (2026-11), largest difference of the Mel spectrogram
of the stored window from that of the float window: 16 bits 0.06 to 0.8 dB, so 24 bits; these 0.0001 to 0.003 dB, and
0.009 dB for the quietest. That is over 0.001 dB wherever the loudest cell is below about 32 dB, because what counts is
the step size against cells 80 dB below the loudest. And 4 of the 35 go beyond [-1, 1] (MP3 and Vorbis do); clipping
them costs up to 21 dB. So two things are kept beside the samples, in an APPLICATION block, which players skip:
the bits below the 24th, as many as the clip's loudness asks for, and the samples beyond full scale as they are.
Without them (any other reader) a clip is 24-bit and clipped; with them (`decode_flac`) it is within 0.001 dB.
"""

# Annotations stay text: numpy and soundfile are imported at their first use.
from __future__ import annotations

import io
import math
import struct
from typing import TYPE_CHECKING, Any

from featurizers.base import MediaError
from featurizers.spectrum import AMIN, N_FFT, TOP_DB, mel_power
from storage.lazy import np
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of soundfile's 0 to 1. A 30 s window: level 0 9.3 ms and 1,541 kB, 0.5 11.4 ms and 1,525 kB, 1.0 26 ms and 1,514 kB.
_LEVEL = 0.0
_WHOLE = 23  # bits of a 24-bit sample without its sign
_APPLICATION, _ID = 2, b"mdtc"  # block type of the FLAC format, and whose block it is
_HEAD = struct.Struct(">4sBI")  # id, bits below the 24th, number of samples beyond full scale
_ANY_HZ, _TENS_HZ = (1 << 16) - 1, ((1 << 16) - 1) * 10  # any rate up to the one, multiples of 10 up to the other
_LARGEST = (1 << 24) - 1  # a metadata block's length has 24 bits


def encode_flac(wave: NDArray[np.float32], rate_hz: int) -> bytes:
    """A FLAC file of a clip of shape (n_samples,), or (n_frames, channels) of up to 8 channels.

    Raises:
        MediaError: `decode_error`: more than 8 channels, a rate that FLAC cannot hold, samples that are not finite, or
            too many beyond full scale.
    """
    import soundfile

    if wave.ndim == 2 and wave.shape[1] > 8:
        raise MediaError(Reason.DECODE_ERROR, f"{wave.shape[1]} channels; FLAC holds 8 at most")
    if rate_hz > _TENS_HZ or (rate_hz > _ANY_HZ and rate_hz % 10):
        held = f"FLAC holds up to {_ANY_HZ:,}, and multiples of 10 up to {_TENS_HZ:,}"
        raise MediaError(Reason.DECODE_ERROR, f"{rate_hz:,} samples per second; {held}")
    low, high = float(wave.min()), float(wave.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise MediaError(Reason.DECODE_ERROR, "samples that are not finite numbers")
    bits = extra_bits(wave, rate_hz) if wave.ndim == 1 else 0  # native windows feed encoders, which take 16 bits
    top = 1 - 0.5**_WHOLE
    far = np.flatnonzero((wave < -1) | (wave > top)) if low < -1 or high > top else np.zeros(0, np.int64)
    steps = np.rint((np.clip(wave, -1, top) if len(far) else wave) * np.float32(1 << _WHOLE + bits))
    numbers = steps.astype(np.int32 if bits <= 7 else np.int64)
    numbers += (1 << bits) // 2
    block = b""
    if bits or len(far):
        exact = far.astype(">u4").tobytes() + wave.reshape(-1)[far].astype(">f4").tobytes()
        block = _HEAD.pack(_ID, bits, len(far)) + exact + _packed(numbers, bits)
    numbers >>= bits
    numbers <<= 8  # libsndfile takes integers at their upper end, and 10 ms for them where floats take 15
    file = io.BytesIO()
    whole = numbers.astype(np.int32, copy=False)
    soundfile.write(file, whole, rate_hz, format="FLAC", subtype="PCM_24", compression_level=_LEVEL)
    return _with_block(file.getbuffer(), block)


def decode_flac(data: bytes) -> tuple[NDArray[np.float32], int]:
    """The clip as `encode_flac` got it (to far below 24 bits), and its rate; also reads other FLAC files.

    Raises:
        MediaError: `decode_error`: not a FLAC file, or a damaged one.
    """
    import soundfile

    try:
        block = _find_block(data)
        read: Any = soundfile.read(io.BytesIO(data), dtype="float32" if block is None else "int32")
        return (read[0] if block is None else _restored(read[0], block)), int(read[1])
    except (soundfile.SoundFileError, RuntimeError, ValueError, IndexError, struct.error) as exc:
        raise MediaError(Reason.DECODE_ERROR, f"a stored window that is no whole FLAC file: {exc}") from exc


# --- what 24 bits cannot hold


def extra_bits(wave: NDArray[np.float32], rate_hz: int) -> int:
    """Bits below the 24th, of 0, 2, 4, 7 and 16, that keep the Mel of a mono clip within 0.001 dB.

    The loudest Mel cell L sets the lowest one that counts: L - 80 dB, or -100 dB (`AMIN`). At L = 31 dB rounding to
    24 bits moves such a cell by up to 0.0011 dB (measured), and by 10 times less for each 20 dB more of L.
    The loudest stretch alone gives L or less, which errs to the safe side. 0.0004 leaves room for worse luck.
    """
    stretches = wave[: len(wave) // N_FFT * N_FFT].reshape(-1, N_FFT)
    power = np.einsum("ij,ij->i", stretches, stretches)
    loudest = stretches[power.argmax()] if len(stretches) else wave
    top_db = 10 * math.log10(max(float(mel_power(loudest, rate_hz).max()), AMIN))
    off_db = 0.0011 * 10 ** ((-49 - max(top_db - TOP_DB, 10 * math.log10(AMIN))) / 20)
    return next((bits for bits in (0, 2, 4, 7) if off_db / 2**bits <= 0.0004), 16)


def _packed(numbers: NDArray[np.signedinteger], bits: int) -> bytes:
    """The lowest bits of each number: two bytes each, one, or several to a byte, the first in its lowest bits."""
    if bits in (0, 7, 16):
        kept = numbers & ((1 << bits) - 1)
        return kept.astype("u1" if bits == 7 else ">u2").tobytes() if bits else b""
    per_byte = 8 // bits
    rest = np.zeros(-(-len(numbers) // per_byte) * per_byte, np.uint8)
    np.bitwise_and(numbers, (1 << bits) - 1, out=rest[: len(numbers)], casting="unsafe")
    packed = rest[::per_byte].copy()
    for place in range(1, per_byte):
        packed |= rest[place::per_byte] << (place * bits)
    return packed.tobytes()


def _unpacked(packed: bytes, bits: int, count: int) -> NDArray[np.unsignedinteger]:
    if bits in (7, 16):
        return np.frombuffer(packed, np.uint8 if bits == 7 else ">u2", count)
    rest = np.frombuffer(packed, np.uint8)[:, None] >> (np.arange(0, 8, bits, dtype=np.uint8))
    return (rest & np.uint8((1 << bits) - 1)).reshape(-1)[:count]


def _restored(whole: NDArray[np.int32], block: bytes) -> NDArray[np.float32]:
    _, bits, far = _HEAD.unpack_from(block)
    places = np.frombuffer(block, ">u4", far, _HEAD.size)
    exact = np.frombuffer(block, ">f4", far, _HEAD.size + 4 * far)
    numbers = (whole if bits <= 7 else whole.astype(np.int64)) >> 8
    if bits:
        numbers <<= bits
        numbers += _unpacked(block[_HEAD.size + 8 * far :], bits, len(numbers))
        numbers -= (1 << bits) // 2
    wave = numbers.astype(np.float32)  # rounds once; what follows is exact
    wave *= np.float32(0.5 ** (_WHOLE + bits))
    wave.reshape(-1)[places] = exact
    return wave


# --- FLAC's metadata blocks: 'fLaC', then a byte (last? and type), 3 bytes of length, content, and again


def _with_block(file: memoryview, content: bytes) -> bytes:
    """The file with one APPLICATION block after its first block (STREAMINFO)."""
    if not content:
        return bytes(file)
    if len(content) > _LARGEST:  # more than 2 million samples beyond full scale: no sound that could be told apart
        raise MediaError(Reason.DECODE_ERROR, f"{len(content):,} bytes beyond full scale; {_LARGEST:,} at most")
    end = 8 + int.from_bytes(file[5:8], "big")
    last = file[4] & 0x80
    head = bytes([last | _APPLICATION]) + len(content).to_bytes(3, "big")
    return b"".join([file[:4], bytes([file[4] & 0x7F]), file[5:end], head, content, file[end:]])


def _find_block(data: bytes) -> bytes | None:
    at, last = 4, data[:4] != b"fLaC"
    while not last:
        kind, length = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        content = slice(at + 4, at + 4 + length)
        if kind & 0x7F == _APPLICATION and data[at + 4 : at + 8] == _ID:
            return data[content]
        at, last = at + 4 + length, bool(kind & 0x80)
    return None
