"""A picture ends as a value or a reason; a value is upright, RGB, whole."""

import pickle
import random
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featurizers.base import MediaError
from featurizers.images import ImageFacts, normalise, prove
from storage.reasons import Reason
from tests.featurizers.pictures import corners, files, frames, saved

RED, LIME, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
KINDS = sorted(files())


def refused(data: bytes) -> Reason:
    """The reason of a file that both functions refuse alike."""
    with pytest.raises(MediaError) as proving:
        prove(data)
    with pytest.raises(MediaError) as normalising:
        normalise(data)
    assert proving.value.reason == normalising.value.reason
    assert proving.value.detail
    assert len(proving.value.detail) <= 200
    return proving.value.reason


def outcome(data: bytes) -> object:
    """What a file ends as."""
    try:
        return prove(data), normalise(data, 16).tobytes()
    except MediaError as exc:
        return exc.reason


def quarters(picture: np.ndarray) -> list[tuple[int, ...]]:
    """Colours in the middles of the four quarters, in reading order."""
    height, width, _ = picture.shape
    return [
        tuple(int(v) for v in picture[y, x])
        for y in (height // 4, 3 * height // 4)
        for x in (width // 4, 3 * width // 4)
    ]


# --- values


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_is_a_value(kind: str) -> None:
    data = files()[kind]
    facts, picture = prove(data), normalise(data)
    assert (facts.format, facts.width, facts.height) == (kind.split()[0], 64, 48)
    assert facts.frames == (3 if "animated" in kind or "pages" in kind else 1)
    assert facts.orientation is None
    assert (picture.shape, picture.dtype) == ((48, 64, 3), np.uint8)
    grey = any(word in kind.split() for word in ("L", "LA", "1", "I", "F", "I;16"))
    expected = corners().convert("L").convert("RGB") if grey else corners()
    if kind != "png 1":  # dithered
        # Palettes and lossy coding move colours, by less than a quarter's distance from the next.
        np.testing.assert_allclose(quarters(picture), quarters(np.array(expected)), atol=24)


def test_facts_say_what_pillow_says_of_the_file_as_stored() -> None:
    assert prove(files()["jpeg CMYK"]).mode == "CMYK"
    assert prove(files()["png I;16"]).mode == "I;16"
    assert prove(files()["png P"]) == ImageFacts(
        format="png", width=64, height=48, mode="P", orientation=None, frames=1
    )


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_recorded_as_stored_and_read_upright(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = corners().transpose(
        {1: 0, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # the inverse of what the tag asks for
    )
    stored = corners() if orientation == 1 else turned
    data = saved(stored, format, exif=exif, **({"quality": 95} if format != "png" else {}))
    facts = prove(data)
    assert (facts.width, facts.height) == stored.size
    assert facts.orientation == (None if (format, orientation) == ("avif", 1) else orientation)
    for picture in (normalise(data), normalise(data, 24)):
        assert picture.shape[1] * 3 == picture.shape[0] * 4
        np.testing.assert_allclose(quarters(picture), [RED, LIME, BLUE, WHITE], atol=24)


def test_transparent_pixels_are_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    palette = corners(8, 8).convert("P", palette=Image.Palette.ADAPTIVE)
    red = palette.getpixel((0, 0))
    grey = Image.new("LA", (8, 8), (0, 0))
    assert quarters(normalise(saved(clear, "png"))) == [WHITE] * 4
    assert quarters(normalise(saved(clear, "webp", lossless=True))) == [WHITE] * 4
    assert quarters(normalise(saved(half, "png"))) == [(127, 127, 127)] * 4
    assert quarters(normalise(saved(palette, "png", transparency=red))) == [WHITE, LIME, BLUE, WHITE]
    assert quarters(normalise(saved(palette, "gif", transparency=red))) == [WHITE, LIME, BLUE, WHITE]
    assert quarters(normalise(saved(palette, "png", transparency=bytes([0] * 256)))) == [WHITE] * 4
    assert quarters(normalise(saved(corners(8, 8), "png", transparency=RED))) == [WHITE, LIME, BLUE, WHITE]
    assert quarters(normalise(saved(grey, "png"))) == [WHITE] * 4


def test_adobe_cmyk_keeps_its_colours() -> None:
    data = saved(corners().convert("CMYK"), "jpeg", quality=95)
    assert b"Adobe" in data
    np.testing.assert_allclose(quarters(normalise(data)), [RED, LIME, BLUE, WHITE], atol=16)


def ramp(kind: type, most: float) -> np.ndarray:
    """256 columns from 0 to `most`."""
    return np.tile(np.linspace(0, most, 256), (4, 1)).astype(kind)


@pytest.mark.parametrize(
    ("pixels", "format"),
    [
        (ramp(np.uint16, 65535), "png"),
        (ramp(np.uint16, 65535), "tiff"),
        (ramp(np.int32, 65535), "tiff"),
        (ramp(np.int32, 2**31 - 1), "tiff"),
        (ramp(np.float32, 1), "tiff"),
        (ramp(np.float32, 255), "tiff"),
        (ramp(np.float32, 65535), "tiff"),
        (ramp(np.float32, 1e9), "tiff"),
        (ramp(np.float32, 2) - 1, "tiff"),
    ],
)
def test_deep_pixels_are_scaled_not_clipped(pixels: np.ndarray, format: str) -> None:
    picture = normalise(saved(Image.fromarray(pixels), format))
    np.testing.assert_allclose(picture[0, :, 0], np.arange(256), atol=1)
    assert (picture == picture[:, :, :1]).all()


def test_16_bit_pixels_keep_their_declared_range() -> None:
    dark = np.full((4, 4), 257 * 20, np.uint16)
    assert (normalise(saved(Image.fromarray(dark), "png")) == 20).all()


def test_not_a_number_is_black_and_harms_nothing() -> None:
    pixels = ramp(np.float32, 1)
    pixels[0, 255], pixels[1, 255], pixels[2, 0] = np.nan, np.inf, -np.inf
    picture = normalise(saved(Image.fromarray(pixels), "tiff"))[:, :, 0]
    assert (picture[0, 255], picture[1, 255], picture[2, 0], picture[3, 255]) == (0, 255, 0, 255)


@pytest.mark.parametrize("kind", KINDS)
def test_a_smaller_picture_has_the_shape_and_colours_of_the_whole_one(kind: str) -> None:
    small = normalise(files()[kind], 12)
    assert small.shape == (12, 16, 3)
    if kind != "png 1":
        np.testing.assert_allclose(quarters(small), quarters(normalise(files()[kind])), atol=24)


def test_a_picture_is_never_enlarged() -> None:
    assert normalise(files()["png RGB"], 400).shape == (48, 64, 3)
    assert normalise(saved(corners(1000, 2), "png"), 1).shape == (1, 500, 3)


def test_a_jpeg_decoded_smaller_has_the_shape_of_a_full_decode() -> None:
    for width, height in ((999, 1501), (1501, 999), (641, 640)):
        image = Image.radial_gradient("L").resize((width, height)).convert("RGB")
        jpeg, png = saved(image, "jpeg", quality=95), saved(image, "png")
        for size in (24, 100, 224):
            a, b = normalise(jpeg, size), normalise(png, size)
            assert a.shape == b.shape
            assert np.abs(a.astype(int) - b).mean() < 1


# --- reasons


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tiff pages"])
def test_a_file_cut_anywhere_is_refused(kind: str) -> None:
    data = files()[kind]
    for part in range(16):
        expected = Reason.DECODE_ERROR
        assert refused(data[: len(data) * part // 16]) == expected, f"{part}/16 of {len(data)} bytes"


def test_a_tiff_is_whole_when_its_first_page_and_its_list_of_pages_are() -> None:
    data = files()["tiff pages"]
    ends = [prove(data[:-cut]).frames for cut in (1, 64 * 48 * 3 - 1)]  # within the pixels of the last page
    assert ends == [3, 3]
    assert refused(data[: len(data) // 2]) == Reason.DECODE_ERROR


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_are_a_value_or_a_reason(kind: str) -> None:
    dice, data = random.Random(kind), files()[kind]
    for _ in range(60):
        bad = bytearray(data)
        for _ in range(dice.choice((1, 1, 3, 20))):
            bad[dice.randrange(min(len(bad), dice.choice((64, 300, len(bad)))))] ^= 1 << dice.randrange(8)
        found = outcome(bytes(bad))
        assert isinstance(found, tuple) or found in (Reason.DECODE_ERROR, Reason.TOO_LARGE)


def png_declaring(width: int, height: int) -> bytes:
    """A PNG of a few bytes with that size in its header."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


def png_with(kind: bytes, head: bytes) -> bytes:
    """A PNG with a chunk whose 64 kB unpack to 64 MB."""
    start, end = files()["png RGB"][:33], files()["png RGB"][33:]  # signature and IHDR; the rest
    body = kind + head + zlib.compress(bytes(1 << 26))
    return start + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + end


def replaced(data: bytes, old: bytes, new: bytes, *, after: bytes = b"") -> bytes:
    """The file with the first `old` behind `after` exchanged."""
    at = data.index(old, data.index(after) + len(after))
    return data[:at] + new + data[at + len(old) :]


BOMBS = {
    "png text": png_with(b"zTXt", b"comment\0\0"),
    "png profile": png_with(b"iCCP", b"profile\0\0"),
    "png": png_declaring(60_000, 60_000),
    "png, longest side": png_declaring(2**31 - 1, 1),
    "gif": replaced(files()["gif"], struct.pack("<HH", 64, 48), struct.pack("<HH", 65_535, 65_535)),
    "gif frame": replaced(
        files()["gif"], struct.pack("<HH", 64, 48), struct.pack("<HH", 65_535, 65_535), after=b"\x2c\0\0\0\0"
    ),
    "jpeg": replaced(files()["jpeg RGB"], struct.pack(">HH", 48, 64), struct.pack(">HH", 65_500, 65_500)),
    "bmp": replaced(files()["bmp"], struct.pack("<ii", 64, 48), struct.pack("<ii", 99_999, 99_999)),
    "ppm": files()["ppm"].replace(b"64 48", b"99999 99999", 1),
    "ppm in text": b"P3\n4000 4000\n255\n" + b"1 " * 99,
    "tiff": replaced(
        files()["tiff tiff_lzw"], struct.pack("<HHII", 256, 4, 1, 64), struct.pack("<HHII", 256, 4, 1, 2**31)
    )
    if struct.pack("<HHII", 256, 4, 1, 64) in files()["tiff tiff_lzw"]
    else replaced(
        files()["tiff tiff_lzw"], struct.pack("<HHII", 256, 3, 1, 64), struct.pack("<HHII", 256, 4, 1, 2**31)
    ),
    "webp": replaced(
        files()["webp animated"], (63).to_bytes(3, "little") + (47).to_bytes(3, "little"), b"\xff\x3f\0\xff\x3f\0"
    ),
    "webp lossless": replaced(files()["webp lossless"], b"/", b"/\xff\xff\xff\x0f"),
    "avif": files()["avif"].replace(struct.pack(">II", 64, 48), struct.pack(">II", 16_384, 16_384)),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_huge_declared_size_is_refused_before_decoding(kind: str) -> None:
    assert refused(BOMBS[kind]) == Reason.TOO_LARGE


@pytest.mark.parametrize(
    "data",
    [
        png_declaring(0, 0),
        png_declaring(5, 0),
        files()["gif"].replace(struct.pack("<HH", 64, 48), b"\0\0\0\0"),
        replaced(files()["jpeg RGB"], struct.pack(">HH", 48, 64), b"\0\0\0\0"),
        files()["avif"].replace(struct.pack(">II", 64, 48), b"\0" * 8),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"8BPS\0\1" + b"\0" * 40,
        b"%PDF-1.7\n" + b"\0" * 40,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff",
        b"RIFF\0\0\0\0WEBPVP8X",
        b"\0",
    ],
)
def test_what_is_no_picture_of_a_known_format_is_a_decode_error(data: bytes) -> None:
    assert refused(data) == Reason.DECODE_ERROR


def test_limits_are_told_with_what_was_found() -> None:
    with pytest.raises(MediaError, match="too_large: declares 64 x 48 pixels; at most 3_000 are decoded"):
        prove(files()["png RGB"], max_pixels=3_000)
    with pytest.raises(MediaError, match="bytes; at most 100 are read"):
        prove(files()["png RGB"], max_bytes=100)
    assert prove(files()["png RGB"], max_pixels=64 * 48, max_bytes=len(files()["png RGB"])).width == 64


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = files()["jpeg progressive"]
    scan = data.rindex(b"\xff\xda")
    many = data[:scan] + data[scan:-2] * 5_000 + data[-2:]
    with pytest.raises(MediaError, match="scans of 64 x 48"):
        prove(many, max_pixels=64 * 48)


def test_the_error_is_whole_after_the_way_out_of_a_worker() -> None:
    again = pickle.loads(pickle.dumps(MediaError(Reason.TOO_LARGE, "why")))
    assert (again.reason, again.detail, str(again)) == (Reason.TOO_LARGE, "why", "too_large: why")


# --- nothing leaks


def odd_files() -> list[bytes]:
    """Files that Pillow warns of, and good ones."""
    loud = corners().convert("P")
    loud.info["transparency"] = bytes(range(256))
    exif = saved(corners(), "jpeg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0\x09\0\0\0\x01\0")
    tiff = bytearray(files()["tiff raw"])
    struct.pack_into("<H", tiff, struct.unpack_from("<I", tiff, 4)[0], 500)
    return [saved(loud, "png"), exif, bytes(tiff), *files().values()]


def test_no_warning_and_no_global_leaks_from_any_thread() -> None:
    data = odd_files()
    alone = [outcome(one) for one in data]
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("error")
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(outcome, data * 4))
        assert list(warnings.filters) == before
    assert not heard
    assert together == alone * 4
    assert limit == Image.MAX_IMAGE_PIXELS


def test_libtiff_writes_nothing_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(files()["tiff tiff_lzw"])
    for at in range(40, 400, 3):
        data[at] ^= 0x55  # strips of 64 x 48 pixels begin at byte 8
    assert refused(bytes(data)) == Reason.DECODE_ERROR
    assert capfd.readouterr().err == ""


def test_the_limits_are_ours_not_those_of_pillows_global(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert prove(files()["png RGB"]).width == 64
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert refused(BOMBS["webp"]) == Reason.TOO_LARGE


def test_others_still_hear_their_own_warnings() -> None:
    prove(files()["png RGB"])
    with pytest.warns(UserWarning, match="ours"):
        warnings.warn("ours", stacklevel=1)


# --- real files


@pytest.mark.real_data
def test_awkward_real_pictures_end_as_pillow_says_or_with_a_reason(real_data: Path) -> None:
    import csv

    folder = real_data / "images-awkward"
    rows = list(csv.DictReader((folder / "manifest.csv").read_text().splitlines()))
    there = [row for row in rows if (folder / row["file"]).exists()]
    assert len(there) >= 80
    for row in there:
        data = (folder / row["file"]).read_bytes()
        if row["decode"] != "ok":
            assert refused(data) in (Reason.DECODE_ERROR, Reason.TOO_LARGE)
            continue
        facts = prove(data)
        found = (facts.mode, facts.width, facts.height, facts.frames, facts.orientation or "")
        said = (row["mode"], *(int(row[name]) for name in ("width", "height", "frames")))
        assert found == (*said, int(row["exif_orientation"] or 0) or ""), row["file"]
        sides = (facts.height, facts.width) if (facts.orientation or 1) < 5 else (facts.width, facts.height)
        assert normalise(data).shape == (*sides, 3)


@pytest.mark.real_data
def test_every_poster_is_a_value_and_close_to_itself_when_decoded_smaller(real_data: Path) -> None:
    posters = sorted((real_data / "posters").glob("*.jpg"))
    assert len(posters) == 1_000
    apart = []
    for path in posters:
        data = path.read_bytes()
        assert prove(data).format == "jpeg"
        if path.stat().st_size > 40_000:
            whole = Image.fromarray(normalise(data))
            small = normalise(data, 64)
            apart.append(np.abs(np.array(whole.resize(small.shape[1::-1])).astype(int) - small).mean())
    assert np.mean(apart) < 0.5


def test_frames_of_the_drawn_animation_differ() -> None:
    assert len({frame.tobytes() for frame in frames()}) == 3
