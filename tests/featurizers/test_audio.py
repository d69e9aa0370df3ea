"""Audio windows: where they lie, the samples of librosa, FLAC that keeps them, and reasons for all that is none."""

import io
import multiprocessing
import os
import struct
import subprocess
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import av
import librosa
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from featurizers.audio import AudioLimits, AudioWindow, decode_window
from featurizers.audio_readers import AvReader
from featurizers.audio_vorbis import vorbis_window
from featurizers.base import MediaError
from featurizers.flac import decode_flac, encode_flac, extra_bits
from featurizers.mel import log_mel
from storage.reasons import Reason
from tests.featurizers.sounds import RATE_HZ, encode, music, noise, sine, write


def librosas(path: Path, window: AudioWindow) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="PySoundFile failed")  # it would fall back on another decoder
        return librosa.load(path, sr=RATE_HZ, offset=window.offset_s, duration=window.duration_s)[0]


def stereo(seconds: float, rate_hz: int) -> NDArray[np.float32]:
    return np.stack([music(seconds, rate_hz=rate_hz), music(seconds, rate_hz=rate_hz, seed=1)], axis=1)


def reason_of(path: Path, **wanted: Any) -> Reason:
    with pytest.raises(MediaError) as caught:
        decode_window(path, **wanted)
    return caught.value.reason


# --- where the window lies


@pytest.mark.parametrize(
    ("seconds", "offset_s", "duration_s", "known_s"),
    [(70, 30, 30, None), (60, 30, 30, None), (44, 7, 30, 44), (30, 0, 30, 30), (8, 0, 8, 8)],
)
def test_the_window_is_30_s_from_00_30_else_the_middle_else_all(
    tmp_path: Path, seconds: float, offset_s: float, duration_s: float, known_s: float | None
) -> None:
    window = decode_window(write(tmp_path / "a.wav", noise(seconds, rate_hz=8_000), 8_000))
    assert (window.offset_s, window.duration_s, window.source_duration_s) == (offset_s, duration_s, known_s)
    assert len(window.wave) == round(duration_s * RATE_HZ)
    assert (window.source_format, window.source_rate_hz, window.source_channels) == ("wav/pcm_16", 8_000, 1)


def test_start_and_length_are_settings(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(9, rate_hz=8_000), 8_000)
    window = decode_window(path, start_s=2, length_s=3, rate_hz=16_000)
    assert (window.offset_s, window.duration_s, len(window.wave), window.rate_hz) == (2, 3, 48_000, 16_000)


def test_less_than_the_least_is_too_short(tmp_path: Path) -> None:
    assert reason_of(write(tmp_path / "a.wav", noise(0.99))) is Reason.TOO_SHORT
    assert decode_window(write(tmp_path / "b.wav", noise(1.0))).duration_s == 1.0
    assert reason_of(write(tmp_path / "b.wav", noise(1.0)), least_s=2) is Reason.TOO_SHORT
    assert reason_of(write(tmp_path / "c.wav", noise(0))) is Reason.TOO_SHORT
    with pytest.raises(MediaError, match=r"0\.999 s decode; 1 s at least"):
        decode_window(write(tmp_path / "d.wav", noise(0.99996)))


def test_native_frames_are_those_of_the_window(tmp_path: Path) -> None:
    wave = stereo(12, 48_000)
    path = write(tmp_path / "a.wav", wave, 48_000, "FLOAT")
    window = decode_window(path, start_s=3, length_s=5, keep_native=True)
    assert window.native is not None
    assert window.native_rate_hz == 48_000
    assert np.array_equal(window.native, wave[3 * 48_000 : 8 * 48_000])
    assert decode_window(path).native is None


# --- librosa's samples


@pytest.mark.parametrize(
    ("name", "rate_hz", "subtype"),
    [
        ("a.wav", 44_100, "PCM_16"),
        ("a.wav", 22_050, "PCM_U8"),
        ("a.wav", 11_025, "FLOAT"),
        ("a.wav", 192_000, "PCM_24"),
        ("a.aiff", 48_000, "PCM_16"),
        ("a.flac", 44_100, "PCM_24"),
        ("a.mp3", 44_100, None),
        ("a.mp3", 16_000, None),
        ("a.ogg", 22_050, "VORBIS"),
        ("a.ogg", 48_000, "OPUS"),
    ],
)
@pytest.mark.parametrize("seconds", [1.7, 4.13, 7.0])
def test_samples_are_those_of_librosa(
    tmp_path: Path, name: str, rate_hz: int, subtype: str | None, seconds: float
) -> None:
    path = write(tmp_path / name, stereo(seconds, rate_hz), rate_hz, subtype)
    window = decode_window(path, start_s=3, length_s=3)
    assert window.source_channels == 2
    assert np.array_equal(window.wave, librosas(path, window))


@pytest.mark.parametrize("channels", [1, 3, 4, 8])
def test_any_number_of_channels_is_mixed_as_by_librosa(tmp_path: Path, channels: int) -> None:
    wave = np.stack([music(5, rate_hz=44_100, seed=seed) for seed in range(channels)], axis=1)
    path = write(tmp_path / "a.wav", wave, 44_100, "FLOAT")
    window = decode_window(path)
    assert np.array_equal(window.wave, librosas(path, window))


def test_reading_in_pieces_changes_no_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.ogg", stereo(12, 44_100), 44_100, "VORBIS")
    whole = decode_window(path, keep_native=True)
    monkeypatch.setattr("featurizers.audio_readers._BLOCK_SAMPLES", 10_000)
    pieces = decode_window(path, keep_native=True)
    assert np.array_equal(whole.wave, pieces.wave)
    assert whole.native is not None
    assert pieces.native is not None
    assert np.array_equal(whole.native, pieces.native)


@pytest.mark.real_data
def test_every_recording_has_librosas_samples_and_its_flac_the_same_mel(real_data: Path) -> None:
    windows, reasons = 0, list[Reason]()
    for path in sorted(p for p in (real_data / "music-audio").rglob("*") if p.suffix in (".mp3", ".ogg")):
        try:
            window = decode_window(path)
        except MediaError as exc:
            reasons.append(exc.reason)
            continue
        off = np.abs(window.wave - librosas(path, window)).max()
        assert off <= (1e-6 if window.source_format == "ogg/vorbis" else 0), path.name
        stored, _ = decode_flac(encode_flac(window.wave, RATE_HZ))
        off = np.abs(log_mel(stored, RATE_HZ) - log_mel(window.wave, RATE_HZ)).max()
        assert off <= 1e-3, path.name
        windows += 1
    assert windows >= 20
    assert set(reasons) <= {Reason.SILENT}


# --- Vorbis, which FFmpeg decodes faster


class Spy:
    """Calls `vorbis_window` and counts how often it gave the samples."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self, *args: Any, **kwargs: Any) -> NDArray[np.float32] | None:
        wave = vorbis_window(*args, **kwargs)
        self.given += wave is not None
        return wave


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    monkeypatch.setattr("featurizers.audio.vorbis_window", made := Spy())
    return made


@pytest.mark.parametrize(("seconds", "start_s"), [(9, 5), (9, 1), (9, 0), (7, 5)])
def test_vorbis_is_decoded_by_ffmpeg_to_librosas_samples(
    tmp_path: Path, spy: Spy, seconds: float, start_s: float
) -> None:
    path = write(tmp_path / "a.ogg", stereo(seconds, 44_100), 44_100, "VORBIS")
    window = decode_window(path, start_s=start_s, length_s=3)
    theirs = librosas(path, window)
    assert (spy.given, len(window.wave)) == (1, len(theirs))
    assert np.abs(window.wave - theirs).max() <= 1e-6
    assert window.source_duration_s == (None if seconds >= start_s + 3 else seconds)


def test_vorbis_whose_positions_differ_is_libsndfiles(
    tmp_path: Path, spy: Spy, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.ogg", stereo(9, 44_100), 44_100, "VORBIS")
    whole = AvReader.stretch
    monkeypatch.setattr(AvReader, "stretch", lambda self, first, count, **more: whole(self, first + 1, count, **more))
    window = decode_window(path, start_s=5, length_s=3)
    assert spy.given == 0
    assert np.array_equal(window.wave, librosas(path, window))


def test_vorbis_near_its_end_is_libsndfiles_whose_seeks_are_off_there(tmp_path: Path, spy: Spy) -> None:
    path = write(tmp_path / "a.ogg", stereo(3.2, 44_100), 44_100, "VORBIS")  # seeking to the last page lands 128 late
    window = decode_window(path, start_s=5, length_s=3)
    assert spy.given == 0
    assert np.array_equal(window.wave, librosas(path, window))


def test_vorbis_with_a_page_missing_in_the_window_is_libsndfiles(tmp_path: Path, spy: Spy) -> None:
    path = write(tmp_path / "a.ogg", stereo(30, 44_100), 44_100, "VORBIS")
    data = path.read_bytes()
    pages = [at for at in range(len(data)) if data.startswith(b"OggS", at)]
    middle = next(i for i, at in enumerate(pages) if int.from_bytes(data[at + 6 : at + 14], "little") > 12 * 44_100)
    path.write_bytes(data[: pages[middle]] + data[pages[middle + 1] :])
    window = decode_window(path, start_s=9, length_s=6)
    assert spy.given == 0
    assert np.array_equal(window.wave, librosas(path, window))


# --- formats that libsndfile does not read


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz", "expected"),
    [
        ("a.m4a", "aac", 44_100, "m4a/aac"),
        ("a.m4a", "alac", 44_100, "m4a/alac"),
        ("a.aac", "aac", 44_100, "aac"),
        ("a.webm", "libopus", 48_000, "webm/opus"),
        ("a.wma", "wmav2", 44_100, "wma/wmav2"),
        ("a.mka", "flac", 32_000, "webm/flac"),
        ("a.mka", "pcm_f32le", 44_100, "webm/pcm_f32le"),
        ("a.wv", "wavpack", 44_100, "wv/wavpack"),
        ("a.tta", "tta", 44_100, "tta"),
        ("a.ac3", "ac3", 48_000, "ac3"),
    ],
)
def test_other_formats_give_a_full_decode_cut_then_resampled(
    tmp_path: Path, name: str, codec: str, rate_hz: int, expected: str
) -> None:
    """And they lie where the signal lay, up to the codec's own delay."""
    wave = stereo(14, rate_hz)
    path = encode(tmp_path / name, wave, rate_hz, codec)
    window = decode_window(path, start_s=4, length_s=6, keep_native=True)
    assert (window.source_format, window.source_rate_hz, window.source_channels) == (expected, rate_hz, 2)
    assert (window.offset_s, window.duration_s) == (4, 6)
    whole = decoded(path)
    part = whole[:, 4 * rate_hz : 10 * rate_hz]
    assert window.native is not None
    assert np.array_equal(window.native, part.T)
    assert np.array_equal(window.wave, soxr.resample(part.mean(axis=0), rate_hz, RATE_HZ, quality="HQ")[: 6 * RATE_HZ])
    original = wave[4 * rate_hz : 10 * rate_hz].mean(axis=1)
    assert abs(best_delay(original, part.mean(axis=0))) <= 2_112 / 44_100  # AAC's customary priming is the longest


def decoded(path: Path) -> NDArray[np.float32]:
    """All of a file by PyAV, shape (channels, n_frames)."""
    with av.open(str(path)) as file:
        blocks: list[NDArray[Any]] = []
        for frame in file.decode(audio=0):
            raw = frame.to_ndarray()
            blocks.append(raw if frame.format.is_planar else raw.reshape(-1, frame.layout.nb_channels).T)
    whole = np.concatenate(blocks, axis=1)
    return whole if whole.dtype == np.float32 else (whole / 2.0 ** (8 * whole.dtype.itemsize - 1)).astype(np.float32)


def best_delay(original: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Samples between the two where they are most alike, as a share of a second at 44.1 kHz."""
    size = len(original) * 2
    alike = np.fft.irfft(np.fft.rfft(found, size) * np.conj(np.fft.rfft(original, size)))
    at = int(np.argmax(alike))
    return (at if at < size // 2 else at - size) / 44_100


def test_a_list_of_other_files_is_no_audio(tmp_path: Path) -> None:
    write(tmp_path / "secret.wav", noise(5))
    for name, text in {
        "a.mp3": f"ffconcat version 1.0\nfile {tmp_path / 'secret.wav'}\n",
        "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{tmp_path / 'secret.wav'}\n#EXT-X-ENDLIST\n",
    }.items():
        (tmp_path / name).write_text(text)
        assert reason_of(tmp_path / name) is Reason.DECODE_ERROR


# --- what headers claim and files do not hold


def test_a_truncated_file_is_planned_by_what_decodes(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.flac", stereo(100, 16_000), 16_000).read_bytes()
    cut = tmp_path / "cut.flac"
    for share, longest in ((0.9, 100.0), (0.5, 60.0), (0.2, 30.0)):
        cut.write_bytes(whole[: int(len(whole) * share)])
        window = decode_window(cut)
        assert len(window.wave) == pytest.approx(window.duration_s * RATE_HZ, abs=1)
        if window.source_duration_s is None:
            assert window.offset_s == 30.0
        else:
            assert window.source_duration_s < longest
            assert window.offset_s == pytest.approx(max(0.0, (window.source_duration_s - 30) / 2), abs=1e-3)
        assert window.duration_s == min(30.0, window.source_duration_s or 30.0)


@pytest.mark.parametrize(("name", "subtype"), [("a.mp3", None), ("a.ogg", "VORBIS"), ("a.wav", "PCM_16")])
@pytest.mark.parametrize("share", [0.95, 0.7, 0.4, 0.2])
def test_truncated_files_still_give_librosas_samples(
    tmp_path: Path, name: str, subtype: str | None, share: float
) -> None:
    path = write(tmp_path / name, stereo(16, 22_050), 22_050, subtype)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    window = decode_window(path, start_s=6, length_s=6)
    assert window.duration_s == pytest.approx(min(6, 16 * share), abs=1.5)  # pages of Ogg last a second
    assert np.array_equal(window.wave, librosas(path, window))


def test_a_wav_that_claims_an_hour_and_holds_two_seconds(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(2))
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"data") + 4, 3600 * RATE_HZ * 2)
    path.write_bytes(data)
    assert decode_window(path).source_duration_s == 2.0


def flac_that_claims(path: Path, frames: int, wave: NDArray[np.float32]) -> Path:
    data = bytearray(write(path, wave, 8_000).read_bytes())
    said = int.from_bytes(data[21:26], "big") >> 36 << 36 | frames  # total samples, a 36-bit number; 0 is "unknown"
    path.write_bytes(data[:21] + said.to_bytes(5, "big") + data[26:])
    return path


@pytest.mark.parametrize("claimed", [0, 2**36 - 1, 8_000 * 90_000])  # unknown, 99 days, 25 hours
@pytest.mark.parametrize(("seconds", "offset_s"), [(20, 0.0), (40, 5.0), (70, 30.0)])
def test_a_flac_that_claims_what_cannot_be_is_planned_by_what_decodes(
    tmp_path: Path, claimed: int, seconds: float, offset_s: float
) -> None:
    wave = noise(seconds, rate_hz=8_000)
    window = decode_window(flac_that_claims(tmp_path / "a.flac", claimed, wave), keep_native=True)
    least = min(30.0, seconds)
    assert (window.offset_s, window.duration_s) == (offset_s, least)
    assert window.source_duration_s == (seconds if seconds < 60 else None)
    whole = decode_window(write(tmp_path / "b.flac", wave, 8_000), keep_native=True)
    assert window.native is not None
    assert whole.native is not None
    assert np.array_equal(window.native, whole.native)
    assert np.array_equal(window.wave, librosas(tmp_path / "b.flac", window))


def test_a_flac_with_bytes_enough_for_its_claim_is_believed(tmp_path: Path) -> None:
    path = flac_that_claims(tmp_path / "a.flac", 8_000 * 3_600, noise(40, rate_hz=8_000))
    assert reason_of(path, limits=AudioLimits(declared_s=3_000)) is Reason.TOO_LARGE


@pytest.mark.parametrize("first_s", [4, 8])
def test_chained_ogg_of_unknown_length_is_read_beyond_its_first_stream(tmp_path: Path, first_s: float) -> None:
    """By libsndfile only the first stream decodes, and is said to last 2^63 - 1 samples (of some lengths)."""
    streams = [write(tmp_path / f"{n}.ogg", stereo(s, 44_100), 44_100, "VORBIS") for n, s in enumerate((first_s, 8))]
    path = tmp_path / "chained.ogg"
    path.write_bytes(b"".join(stream.read_bytes() for stream in streams))
    window = decode_window(path)
    assert (window.source_format, window.offset_s) == ("ogg/vorbis", 0)
    assert window.source_duration_s == window.duration_s == pytest.approx(first_s + 8, abs=0.05)
    window = decode_window(path, start_s=1, length_s=3)  # lies in the first stream
    assert (window.duration_s, window.source_duration_s) == (3, None)
    assert np.array_equal(window.wave, librosas(path, window))


def without_xing(data: bytes) -> bytes:
    """An MP3 file without its first frame, which says how long it is."""
    return data[data.index(data[:2], max(data.find(b"Xing"), data.find(b"Info"))) :]


@pytest.mark.parametrize(("name", "subtype"), [("a.mp3", None), ("a.flac", None), ("a.ogg", "VORBIS"), ("a.webm", "")])
@pytest.mark.parametrize("behind", [b"", b"\x07" * 5_000])
def test_a_file_whose_rest_is_zeros_ends_where_they_begin(
    tmp_path: Path, name: str, subtype: str | None, behind: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """libmpg123 goes through zeros at 1 MB/s, and says so for every kilobyte: 3 GB would take an hour."""
    path, wave = tmp_path / name, stereo(8, 48_000)
    whole = encode(path, wave, 48_000, "libopus") if subtype == "" else write(path, wave, 48_000, subtype)
    cut = (without_xing if name == "a.mp3" else bytes)(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    path.write_bytes(cut + bytes(1 << 16))  # so much may be the rest of a frame
    expected = decode_window(path)
    with path.open("r+b") as file:  # sparse
        file.truncate(3_000_000_000)
        file.seek(0, io.SEEK_END)
        file.write(behind)
    capfd.readouterr()
    begun = time.process_time()
    window = decode_window(path)
    assert time.process_time() - begun < 3
    assert len(capfd.readouterr().err) < 30_000
    assert window.duration_s == expected.duration_s
    assert np.array_equal(window.wave, expected.wave)


def test_the_last_frames_of_digital_silence_are_no_hole(tmp_path: Path) -> None:
    """A frame of constant bit rate that holds nothing is a header and a kilobyte of zeros."""
    wave = np.concatenate([noise(2), np.zeros(2 * RATE_HZ, np.float32)])
    path = write(tmp_path / "a.mp3", wave)
    path.write_bytes(path.read_bytes() + bytes(2_000))
    window = decode_window(path)
    assert np.array_equal(window.wave, librosas(path, window))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux")
def test_workers_do_not_pass_on_what_decoders_say(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", stereo(8, 48_000), 48_000)
    path.write_bytes(without_xing(path.read_bytes()) + b"\x55" * 200_000)
    run = "import sys\nfrom multiprocessing import get_context\nfrom featurizers.audio import decode_window\n"
    run += "if __name__ == '__main__':\n    with get_context('spawn').Pool(1) as pool:\n"
    run += "        print(pool.apply(decode_window, (sys.argv[1],)).source_format)\n"
    (tmp_path / "run.py").write_text(run)
    env = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, tmp_path / "run.py", path], capture_output=True, text=True, env=env)
    assert (done.stdout, done.stderr) == ("mp3\n", "")


@pytest.mark.parametrize("offset", [22, 24, 28, 32, 34])
@pytest.mark.parametrize("value", [0, 1, 0xFFFF])
def test_a_wav_header_may_claim_anything(tmp_path: Path, offset: int, value: int) -> None:
    """Channels, rate, byte rate, block size and bits: a value or a reason."""
    path = write(tmp_path / "a.wav", noise(3))
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, offset, value)
    path.write_bytes(data)
    outcome(path)


def test_a_file_larger_than_the_limit_is_not_opened(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(3))
    assert reason_of(path, limits=AudioLimits(size_bytes=1000)) is Reason.TOO_LARGE
    assert reason_of(path, limits=AudioLimits(declared_s=2)) is Reason.TOO_LARGE
    assert reason_of(path, keep_native=True, limits=AudioLimits(native_bytes=1000)) is Reason.TOO_LARGE


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_a_float_file_with_a_sample_that_is_no_level_is_a_decode_error(tmp_path: Path, bad: float) -> None:
    wave = noise(3)
    wave[40_000] = bad
    assert reason_of(write(tmp_path / "a.wav", wave, subtype="FLOAT")) is Reason.DECODE_ERROR


def test_silence_is_below_minus_80_dbfs(tmp_path: Path) -> None:
    assert reason_of(write(tmp_path / "a.wav", np.zeros(40_000, np.float32))) is Reason.SILENT
    assert reason_of(write(tmp_path / "b.wav", noise(2, peak=0.9e-4), subtype="FLOAT")) is Reason.SILENT
    assert decode_window(write(tmp_path / "c.wav", noise(2, peak=1.2e-4), subtype="FLOAT")).duration_s == 2


def test_what_is_no_readable_file_is_a_reason_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "empty.mp3").write_bytes(b"")
    (tmp_path / "text.mp3").write_text("This is not audio. " * 1000)
    (tmp_path / "samples.raw").write_bytes(bytes(range(256)) * 100)
    (tmp_path / "folder.mp3").mkdir()
    for name in ("empty.mp3", "text.mp3", "samples.raw", "folder.mp3", "absent.mp3"):
        with pytest.raises(MediaError) as caught:
            decode_window(tmp_path / name)
        assert caught.value.reason is Reason.DECODE_ERROR
        assert str(tmp_path) not in str(caught.value)


def test_names_need_not_be_text(tmp_path: Path) -> None:
    odd = write(tmp_path / "a.wav", noise(2)).rename(tmp_path / "caf\udce9 \U0001f3b5.wav")
    assert decode_window(odd).duration_s == 2.0
    coded = encode(tmp_path / "b.m4a", stereo(2, 44_100), 44_100, "aac").rename(tmp_path / "\udcff.m4a")
    assert decode_window(coded).source_format == "m4a/aac"


def outcome(path: Path) -> str:
    """A reason, or the format of a window that holds what it says."""
    try:
        window = decode_window(path)
    except MediaError as exc:
        return exc.reason.value
    assert np.isfinite(window.wave).all()
    assert 1.0 <= window.duration_s <= 30.0
    assert len(window.wave) == pytest.approx(window.duration_s * RATE_HZ, abs=1)
    return window.source_format


@pytest.fixture(scope="module")
def specimens(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("specimens")
    wave = stereo(3, 22_050)
    kinds = {"a.wav": "PCM_16", "b.wav": "MS_ADPCM", "c.flac": None, "d.mp3": None, "e.ogg": "VORBIS", "f.aiff": None}
    files = [write(folder / name, wave, 22_050, kind) for name, kind in kinds.items()]
    for codec, name in {"aac": "g.m4a", "wmav2": "h.wma", "wavpack": "i.wv", "tta": "j.tta"}.items():
        files.append(encode(folder / name, wave, 22_050, codec))
    files.append(encode(folder / "k.webm", stereo(3, 48_000), 48_000, "libopus"))
    return [file.read_bytes() for file in files]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_values_or_reasons(specimens: list[bytes], tmp_path: Path, data: st.DataObject) -> None:
    file = bytearray(data.draw(st.sampled_from(specimens)))
    # Half of the flips hit the first kilobyte, where headers are.
    places = st.one_of(st.integers(0, min(1023, len(file) - 1)), st.integers(0, len(file) - 1))
    for place, bit in data.draw(st.lists(st.tuples(places, st.integers(0, 7)), max_size=12)):
        file[place] ^= 1 << bit
    end = data.draw(st.one_of(st.just(len(file)), st.integers(0, len(file))))
    (tmp_path / "damaged").write_bytes(file[:end])
    outcome(tmp_path / "damaged")


def outcomes(files: list[Path]) -> tuple[list[str], int]:
    """What becomes of each file, and the most memory this process has ever held, in kB; 0 where nothing says so."""
    found, status = [outcome(file) for file in files], Path("/proc/self/status")
    # Not `ru_maxrss`, which begins with that of the process that started this one.
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return found, next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


@pytest.mark.real_data
def test_every_awkward_file_is_a_value_or_a_reason(real_data: Path) -> None:
    files = sorted(path for path in (real_data / "audio-awkward").rglob("*") if path.is_file())
    assert len(files) > 100
    # In a process of its own: the tests before this one have held gigabytes.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        found, peak_kb = alone.submit(outcomes, files).result()
    assert "internal_error" not in found
    assert {what for file, what in zip(files, found, strict=True) if file.stat().st_size == 0} == {"decode_error"}
    assert peak_kb < 1_000_000


# --- FLAC


def test_the_mel_of_a_stored_window_is_that_of_the_float_window() -> None:
    quiet = [music(8, peak=peak) for peak in (0.02, 1e-3, 2e-4)]
    for wave in (music(30), *quiet, noise(8, peak=2e-4), sine(440, 8), music(8, peak=2.5)):
        stored, rate_hz = decode_flac(encode_flac(wave, RATE_HZ))
        assert (rate_hz, stored.dtype, len(stored)) == (RATE_HZ, np.float32, len(wave))
        assert np.abs(log_mel(stored, rate_hz) - log_mel(wave, rate_hz)).max() <= 1e-3


def test_16_bits_would_not_do_and_quiet_clips_need_more_than_24() -> None:
    wave = music(8)
    rounded = (np.rint(wave * 32768) / 32768).astype(np.float32)
    assert np.abs(log_mel(rounded, RATE_HZ) - log_mel(wave, RATE_HZ)).max() > 1e-2
    assert extra_bits(music(8, peak=0.01), RATE_HZ) > extra_bits(music(8, peak=1), RATE_HZ)


def test_any_player_reads_a_stored_window_at_24_bits_and_clipped() -> None:
    wave = music(5, peak=1.5)
    file = io.BytesIO(encode_flac(wave, RATE_HZ))
    plain, _ = soundfile.read(file, dtype="float32")
    assert soundfile.info(io.BytesIO(file.getvalue())).subtype == "PCM_24"
    assert np.abs(plain - np.clip(wave, -1, 1)).max() <= 2**-23
    with av.open(io.BytesIO(file.getvalue())) as other:
        assert sum(frame.samples for frame in other.decode(audio=0)) == len(wave)


def test_samples_beyond_full_scale_come_back_as_they_were() -> None:
    wave = music(5, peak=40.0)
    stored, _ = decode_flac(encode_flac(wave, RATE_HZ))
    far = np.abs(wave) > 1
    assert far.sum() > 1000
    assert np.array_equal(stored[far], wave[far])


@pytest.mark.parametrize("samples", [1, 2, 3, 5, 2047, 2048, 22_051])
@pytest.mark.parametrize("peak", [3e-5, 1e-3, 0.1, 1.0, 7.0])
def test_clips_of_any_length_and_loudness_come_back(samples: int, peak: float) -> None:
    wave = noise(2, peak=peak)[:samples]
    stored, _ = decode_flac(encode_flac(wave, RATE_HZ))
    assert len(stored) == samples
    assert np.abs(stored - wave).max() <= 2**-24


def test_full_scale_itself_is_kept() -> None:
    edges = np.array([1.0, -1.0, 1 - 2**-24, -1 + 2**-24, 1 - 2**-23, 0.0, 2**-24, -(2**-25)] * 600, np.float32)
    assert np.array_equal(decode_flac(encode_flac(edges, RATE_HZ))[0][np.abs(edges) == 1], edges[np.abs(edges) == 1])
    assert np.abs(decode_flac(encode_flac(edges, RATE_HZ))[0] - edges).max() <= 2**-24


def test_native_windows_keep_rate_and_channels() -> None:
    wave = stereo(2, 48_000) * 3
    stored, rate_hz = decode_flac(encode_flac(wave, 48_000))
    assert (rate_hz, stored.shape) == (48_000, wave.shape)
    assert np.abs(stored - wave).max() <= 2**-23


def test_what_flac_cannot_hold_is_a_reason() -> None:
    with pytest.raises(MediaError, match="9 channels"):
        encode_flac(np.zeros((100, 9), np.float32), RATE_HZ)
    for rate_hz in (65_537, 705_605, 705_600, 655_360):
        with pytest.raises(MediaError, match=f"{rate_hz:,} samples per second; FLAC holds up to 65,535"):
            encode_flac(np.zeros((100, 2), np.float32), rate_hz)
    for rate_hz in (65_535, 65_540, 352_800, 655_350):
        assert decode_flac(encode_flac(np.zeros((100, 2), np.float32), rate_hz))[1] == rate_hz
    with pytest.raises(MediaError, match="not finite"):
        encode_flac(np.array([0, np.nan], np.float32), RATE_HZ)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_damaged_stored_window_is_a_reason_or_samples(data: st.DataObject) -> None:
    file = bytearray(encode_flac(music(1, peak=1.4), RATE_HZ))
    for place in data.draw(st.lists(st.integers(0, len(file) - 1), min_size=1, max_size=8)):
        file[place] ^= 0x55
    try:
        wave, _ = decode_flac(bytes(file[: data.draw(st.integers(0, len(file)))]))
    except MediaError:
        return
    assert wave.dtype == np.float32
