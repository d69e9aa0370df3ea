"""Copies and near misses of real recordings and pictures, for `benchmarks.duplicates`."""

import html
import io
import tempfile
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import soundfile
import soxr
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from featurizers.audio import decode_window

RATE_HZ = 22_050
Wave = Any
Change = Callable[[Any, np.random.Generator], Any]


# --- sound: a stretch of more than a window in, as much of another encoding out


def encoded(wave: Wave, codec: str, container: str, bit_rate: int, rate_hz: int) -> Wave:
    """The clip after PyAV has encoded it and mediateca's decoder read it."""
    import av

    samples = np.clip(soxr.resample(wave, RATE_HZ, rate_hz), -1, 1).astype(np.float32)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=rate_hz, layout="mono")
        stream.bit_rate = bit_rate
        context = stream.codec_context
        kind = context.codec.audio_formats[0].name
        resampler = av.AudioResampler(format=kind, layout="mono", rate=rate_hz, frame_size=context.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate_hz, 0
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return _decoded(buffer.getvalue(), len(wave))


def written(wave: Wave, rate_hz: int, **how: Any) -> Wave:
    """The clip after libsndfile has encoded it (Vorbis, which PyAV's build cannot write) and our decoder read it."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(soxr.resample(wave, RATE_HZ, rate_hz), -1, 1), rate_hz, **how)
    return _decoded(buffer.getvalue(), len(wave))


def _decoded(data: bytes, samples: int) -> Wave:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return decode_window(file.name, start_s=0, length_s=samples / RATE_HZ + 1).wave


def noisy(wave: Wave, dice: np.random.Generator, below_db: float) -> Wave:
    """White noise so far below the clip's mean level."""
    level = np.sqrt(np.square(wave).mean()) * 10 ** (-below_db / 20)
    return wave + dice.normal(0, level, len(wave)).astype(np.float32)


def tilted(wave: Wave, low: float, high: float) -> Wave:
    """An equaliser: gain goes from `low` dB at 50 Hz to `high` dB at 8 kHz, linear in octaves."""
    spectrum = np.fft.rfft(wave)
    octave = np.log2(np.maximum(np.fft.rfftfreq(len(wave), 1 / RATE_HZ), 50) / 50) / np.log2(160)
    return np.fft.irfft(spectrum * 10 ** ((low + (high - low) * np.minimum(octave, 1)) / 20), len(wave)).astype("f4")


def squeezed(wave: Wave, drive: float) -> Wave:
    """A soft limiter."""
    return (np.tanh(drive * wave / max(float(np.abs(wave).max()), 1e-6)) * 0.9).astype(np.float32)


def faster(wave: Wave, factor: float) -> Wave:
    """Played faster, and higher."""
    return soxr.resample(wave, RATE_HZ * factor, RATE_HZ)


def another_take(wave: Wave, dice: np.random.Generator) -> Wave:
    """The same notes with another timing: the tempo drifts by up to 5 %, as in a second performance."""
    knots = np.linspace(0, len(wave), 12)
    rate = 1 + np.interp(np.arange(len(wave)), knots, dice.uniform(-0.05, 0.05, len(knots)))
    at = np.cumsum(rate)
    return np.interp(at[at < len(wave)], np.arange(len(wave)), wave).astype(np.float32)


SOUND_FITTED: dict[str, Change] = {
    "mp3 at 96 kbit/s": lambda w, d: encoded(w, "libmp3lame", "mp3", 96_000, 44_100),
    "opus at 48 kbit/s": lambda w, d: encoded(w, "libopus", "ogg", 48_000, 48_000),
    "11,025 Hz": lambda w, d: written(w, 11_025, format="WAV"),
    "10 dB quieter": lambda w, d: w * 0.32,
    "noise 26 dB below": lambda w, d: noisy(w, d, 26),
    "limited": lambda w, d: squeezed(w, 1.5),
}
SOUND_HELD_OUT: dict[str, Change] = {
    "cut elsewhere": lambda w, d: w,
    "mp3 at 32 kbit/s, 22 kHz": lambda w, d: encoded(w, "libmp3lame", "mp3", 32_000, 22_050),
    "mp3 at 16 kbit/s, 8 kHz": lambda w, d: encoded(w, "libmp3lame", "mp3", 16_000, 8_000),
    "ogg (Vorbis) at 44 kHz": lambda w, d: written(w, 44_100, format="OGG", subtype="VORBIS"),
    "opus at 24 kbit/s": lambda w, d: encoded(w, "libopus", "ogg", 24_000, 48_000),
    "AAC at 48 kbit/s": lambda w, d: encoded(w, "aac", "adts", 48_000, 44_100),
    "16 kHz": lambda w, d: written(w, 16_000, format="WAV"),
    "20 dB quieter": lambda w, d: w * 0.1,
    "6 dB louder, clipped": lambda w, d: np.clip(2 * w, -1, 1),
    "noise 20 dB below": lambda w, d: noisy(w, d, 20),
    "equaliser, 12 dB of tilt": lambda w, d: tilted(w, 6, -6),
}
SOUND_NEAR: dict[str, Change] = {
    "another take (timing drifts 5 %)": another_take,
    "3 % faster": lambda w, d: faster(w, 1.03),
    "sped up by 25 %": lambda w, d: faster(w, 1.25),
    "slowed by 17 %": lambda w, d: faster(w, 0.83),
}
SOUND_TOLD: dict[str, Change] = {
    "remaster (equaliser, limiter, 0.1 % faster)": lambda w, d: squeezed(tilted(faster(w, 1.001), -3, 4), 2.0),
    "1 % faster": lambda w, d: faster(w, 1.01),
}


# --- pictures: RGB in, RGB out


def coded(picture: Any, kind: str, quality: int) -> Any:
    """After an encoder."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def scaled(picture: Any, across: float, down: float | None = None) -> Any:
    """So many times as wide and high."""
    width, height = picture.size
    return picture.resize((max(8, round(width * across)), max(8, round(height * (down or across)))))


def cropped(picture: Any, dice: np.random.Generator, most: float) -> Any:
    """Up to this share cut off each side."""
    left, top, right, bottom = dice.uniform(0, most, 4)
    width, height = picture.size
    return picture.crop((round(left * width), round(top * height), *_rest(width, height, right, bottom)))


def _rest(width: int, height: int, right: float, bottom: float) -> tuple[int, int]:
    return round((1 - right) * width), round((1 - bottom) * height)


def marked(picture: Any, box: tuple[float, float, float, float], ink: tuple[int, int, int, int]) -> Any:
    """A box of that ink over a part of it, with letters in it."""
    width, height = picture.size
    over = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(over)
    corners = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    draw.rectangle(corners, fill=ink)
    draw.text((corners[0] + 2, corners[1] + 2), "PREVIEW COPY", fill=(0, 0, 0, 255))
    return Image.alpha_composite(picture.convert("RGBA"), over).convert("RGB")


def lettered(picture: Any) -> Any:
    """Half-transparent letters all over it."""
    over = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(over)
    for y in range(0, picture.size[1], max(12, picture.size[1] // 9)):
        draw.text((y % 37, y), "SAMPLE   SAMPLE   SAMPLE", fill=(255, 255, 255, 128), font_size=picture.size[1] / 18)
    return Image.alpha_composite(picture.convert("RGBA"), over).convert("RGB")


PICTURE_FITTED: dict[str, Change] = {
    "JPEG quality 40": lambda p, d: coded(p, "JPEG", 40),
    "half the size": lambda p, d: scaled(p, 0.5),
    "up to 4 % off each side": lambda p, d: cropped(p, d, 0.04),
    "a box in the lower right corner": lambda p, d: marked(p, (0.6, 0.88, 0.97, 0.96), (255, 255, 255, 160)),
    "darker": lambda p, d: ImageEnhance.Brightness(p).enhance(0.8),
}
PICTURE_HELD_OUT: dict[str, Change] = {
    "JPEG quality 15": lambda p, d: coded(p, "JPEG", 15),
    "WebP quality 30": lambda p, d: coded(p, "WEBP", 30),
    "a third of the size": lambda p, d: scaled(p, 0.34),
    "twice the size": lambda p, d: scaled(p, 2.0),
    "8 % flatter": lambda p, d: scaled(p, 1.0, 0.92),
    "up to 8 % off each side": lambda p, d: cropped(p, d, 0.08),
    "8 % off below": lambda p, d: p.crop((0, 0, p.size[0], round(0.92 * p.size[1]))),
    "a frame of 3 %": lambda p, d: ImageOps.expand(p, border=round(0.03 * p.size[0]), fill=(250, 250, 250)),
    "a black bar above": lambda p, d: marked(p, (0.0, 0.0, 1.0, 0.07), (0, 0, 0, 255)),
    "letters all over": lambda p, d: lettered(p),
    "brighter": lambda p, d: ImageEnhance.Brightness(p).enhance(1.2),
    "grey": lambda p, d: p.convert("L").convert("RGB"),
    "blurred": lambda p, d: p.filter(ImageFilter.GaussianBlur(1.2)),
}


# --- texts

BOILERPLATE = "No overview found. We do not have an overview translated in English. Help us expand our database."
TEXT_HELD_OUT: dict[str, Callable[[str], str]] = {
    "capitals": str.upper,
    "other spaces and lines": lambda text: text.replace(" ", "  ").replace(". ", ".\n\n"),
    "as HTML": lambda text: f"<p>{html.escape(text)}&nbsp;</p>",
    "curly quotes and long dashes": lambda text: (
        text.replace("'", "\u2019").replace('"', "\u201d").replace("-", "\u2013")
    ),
    "accents taken apart": lambda text: unicodedata.normalize("NFD", text),
    "no punctuation at the end": lambda text: text.rstrip(" .!?") + " \u2026",
}
