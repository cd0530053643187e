"""Pictures that are broken, or made to break whoever reads them; and what is to become of each."""

from __future__ import annotations

import io
import os
import random
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

INDEXED = "indexed"
PASSED_OVER = "passed over"

NOT_A_PICTURE = r"^not a picture in a format that can be read( \(\w+\))?$"
DAMAGED = "^damaged or truncated "
TOO_LARGE = "^too large "
UNREADABLE = f"{DAMAGED}|{NOT_A_PICTURE}"
"""Which of both it is, is a matter of where exactly a decoder gave up."""

POSIX = os.name == "posix"
LINUX = sys.platform == "linux"


@dataclass(frozen=True)
class Kind:
    """One kind of hostile file.

    Attributes:
        name: of the file, below the folder.
        make: what makes it: its bytes, or a function that makes it at a path.
        outcome: `INDEXED`, `PASSED_OVER`, or a pattern of the reason for which it fails.
        possible: whether this system has such files.
    """

    name: str
    make: bytes | Callable[[Path], object]
    outcome: str
    possible: bool = True

    def write(self, folder: Path) -> Path:
        """Make the file."""
        path = folder / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(self.make, bytes):
            path.write_bytes(self.make)
        else:
            self.make(path)
        return path


def picture(file_format: str, size: tuple[int, int] = (64, 48), mode: str = "RGB", **options: Any) -> bytes:
    """A picture of coloured noise, which compresses badly: what is cut off is missed."""
    noise = random.Random(f"{file_format} {size} {mode}").randbytes(size[0] * size[1] * 3)
    written = io.BytesIO()
    Image.frombytes("RGB", size, noise).convert(mode).save(written, file_format, **options)
    return written.getvalue()


def part(content: bytes, share: float) -> bytes:
    """The beginning of a file."""
    return content[: int(len(content) * share)]


def replaced(content: bytes, at: int, new: bytes) -> bytes:
    """A file with some bytes overwritten."""
    return content[:at] + new + content[at + len(new) :]


def later(make: Callable[..., bytes], *args: Any) -> Callable[[Path], object]:
    """Makes a file of bytes that take their time, when it is needed."""
    return lambda path: path.write_bytes(make(*args))


# --- JPEG -------------------------------------------------------------------------------------------------

JPEG = picture("JPEG")
SOF = JPEG.index(b"\xff\xc0")
SCAN = JPEG.index(b"\xff\xda")


def jpeg_segment(marker: int, content: bytes) -> bytes:
    """A JPEG with one more segment, right after its start."""
    return JPEG[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + JPEG[2:]


def exif_jpeg(tiff: bytes) -> bytes:
    """A JPEG with an EXIF block of these bytes."""
    return jpeg_segment(0xE1, b"Exif\0\0" + tiff)


def ifd(*entries: tuple[int, int, int, int], follows: int = 0) -> bytes:
    """A little-endian TIFF of one directory; entries are tag, type, count, and value or offset."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + struct.pack("<I", follows)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BILLION_LAUGHS = (
    f'<?xpacket?><!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><x:xmpmeta xmlns:x="adobe:ns:meta/">&l9;</x:xmpmeta>'
).encode()


def progressive_with_many_scans() -> bytes:
    """A progressive JPEG whose last scan comes a thousand times."""
    content = picture("JPEG", (256, 256), progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * 1000 + content[-2:]


JPEGS = [
    Kind("only-the-start.jpg", JPEG[:3], NOT_A_PICTURE),
    Kind("cut-in-the-header.jpg", JPEG[:100], UNREADABLE),
    Kind("cut-before-the-pixels.jpg", JPEG[:SCAN], DAMAGED),
    Kind("cut-in-the-pixels.jpg", part(JPEG, 0.6), DAMAGED),
    Kind("zeros-after-the-header.jpg", JPEG[:100] + bytes(5000), UNREADABLE),
    Kind("absurd-size.jpg", replaced(JPEG, SOF + 5, b"\xff\xdc\xff\xdc"), TOO_LARGE),
    Kind("no-width.jpg", replaced(JPEG, SOF + 5, b"\0\0\0\0"), UNREADABLE),
    Kind("twelve-bit.jpg", replaced(JPEG, SOF + 4, b"\x0c"), UNREADABLE),
    Kind("no-huffman-tables.jpg", JPEG.replace(b"\xff\xc4", b"\xff\xfe"), INDEXED),  # there is a default
    Kind("a-thousand-scans.jpg", later(progressive_with_many_scans), INDEXED),
    Kind("junk-after-the-end.jpg", JPEG + random.Random(5).randbytes(50_000), INDEXED),
    Kind("exif-cut.jpg", exif_jpeg(b"II*\0\x08\0\0\0\x05"), INDEXED),
    Kind("exif-random.jpg", exif_jpeg(random.Random(1).randbytes(5000)), INDEXED),
    Kind("exif-loop.jpg", exif_jpeg(ifd((0x8769, 4, 1, 8), (0x8825, 4, 1, 8), follows=8)), INDEXED),
    Kind("exif-huge-counts.jpg", exif_jpeg(ifd((0x010F, 2, 2**32 - 1, 8), (0x0110, 12, 2**31, 20))), INDEXED),
    Kind("exif-orientation-99.jpg", exif_jpeg(ifd((0x0112, 3, 1, 99))), INDEXED),
    Kind("exif-orientation-text.jpg", exif_jpeg(ifd((0x0112, 2, 4, 0x41414141))), INDEXED),
    Kind("exif-division-by-zero.jpg", exif_jpeg(ifd((0x829A, 5, 1, 26)) + bytes(8)), INDEXED),
    Kind("xmp-billion-laughs.jpg", jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + BILLION_LAUGHS), INDEXED),
    Kind("xmp-not-xml.jpg", jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta <<\xff\xfe"), INDEXED),
    Kind("xmp-deep.jpg", jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<a>" * 20_000), INDEXED),
    Kind("iptc-cut.jpg", jpeg_segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\xff\xff\xff\xff\x1c"), INDEXED),
    Kind("icc-cut.jpg", jpeg_segment(0xE2, b"ICC_PROFILE\0\x05\x09junk"), INDEXED),
    Kind("icc-junk.jpg", jpeg_segment(0xE2, b"ICC_PROFILE\0\x01\x01" + b"\xff" * 60_000), INDEXED),
    Kind("mpo-index-cut.jpg", jpeg_segment(0xE2, b"MPF\0II*\0\xff\xff\xff\xff"), INDEXED),
    Kind("jfif-cut.jpg", jpeg_segment(0xE0, b"JFIF"), NOT_A_PICTURE),
    Kind("cmyk.jpg", picture("JPEG", mode="CMYK"), INDEXED),
]

# --- PNG --------------------------------------------------------------------------------------------------


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: bytes, width: int = 20, height: int = 20, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG of these chunks after its header."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def unfolding_png(side: int) -> bytes:
    """A small file of side × side pixels, which take a while and, as RGB, four bytes each in memory."""
    rows = chunk(b"IDAT", zlib.compress(bytes(side * (1 + (side + 7) // 8)), 1))
    return png(rows, width=side, height=side, depth=1, colour=0)


PNG = picture("PNG")
PIXELS = chunk(b"IDAT", zlib.compress((b"\0" + bytes(range(60))) * 20))
SHORT = chunk(b"IDAT", zlib.compress(bytes(100_000)))
BOMB = zlib.compress(bytes(100_000_000), 1)


def lying_apng() -> bytes:
    """An animation that promises four thousand million frames and repeats for ever."""
    control = chunk(b"acTL", struct.pack(">II", 2**32 - 1, 0))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 20, 20, 0, 0, 1, 10, 0, 0))
    return png(control, frame, PIXELS)


PNGS = [
    Kind("cut.png", part(PNG, 0.5), DAMAGED),
    Kind("cut-in-the-header.png", PNG[:20], UNREADABLE),
    Kind("wrong-checksum.png", replaced(PNG, 29, b"\0\0\0\0"), UNREADABLE),
    Kind("wrong-stream.png", png(chunk(b"IDAT", b"no zlib stream at all")), DAMAGED),
    Kind("no-pixels.png", png(), DAMAGED),
    Kind("no-width.png", png(PIXELS, width=0), UNREADABLE),
    Kind("absurd-size.png", png(PIXELS, width=2**31 - 1, height=2**31 - 1), TOO_LARGE),
    Kind("bomb.png", png(PIXELS, width=60_000, height=60_000), TOO_LARGE),
    Kind("too-wide.png", png(PIXELS, width=2**31 - 1, height=1), TOO_LARGE),
    Kind("bomb-of-100-megapixels.png", png(SHORT, width=10_000, height=10_000, depth=1, colour=0), DAMAGED),
    Kind("bomb-in-a-text.png", png(chunk(b"zTXt", b"a\0\0" + BOMB), PIXELS), INDEXED),
    Kind("bomb-in-a-late-text.png", png(PIXELS, chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB)), INDEXED),
    Kind("bomb-in-a-profile.png", png(chunk(b"iCCP", b"a\0\0" + BOMB), PIXELS), INDEXED),
    Kind("a-hundred-thousand-texts.png", later(png, *[chunk(b"tEXt", b"a\0b")] * 100_000, PIXELS), INDEXED),
    Kind("no-palette.png", png(chunk(b"IDAT", zlib.compress(bytes(20 * 21))), colour=3), DAMAGED),
    Kind("endless-animation.png", lying_apng(), INDEXED),
    Kind("transparent.png", picture("PNG", mode="LA"), INDEXED),
    Kind("one-pixel.png", picture("PNG", (1, 1)), INDEXED),
    Kind("a-thread.png", picture("PNG", (1, 30_000)), INDEXED),
    Kind("a-hair.png", picture("PNG", (30_000, 1)), INDEXED),
]

# --- other formats ----------------------------------------------------------------------------------------


def animation(file_format: str, frames: int) -> bytes:
    """Frames that repeat for ever."""
    rest = [Image.new("P", (16, 16), number % 256) for number in range(frames)]
    return picture(file_format, (16, 16), save_all=True, append_images=rest, loop=0, duration=1)


def bmp(width: int, height: int) -> bytes:
    """The header of a BMP that says so, and hardly anything after it."""
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 200, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(100)


def no_numbers() -> bytes:
    """A picture of floats that are none."""
    written = io.BytesIO()
    Image.frombytes("F", (2, 2), struct.pack("<4f", float("nan"), float("inf"), -1e38, 0.5)).save(written, "TIFF")
    return written.getvalue()


GIF = picture("GIF", mode="P")
TIFF = picture("TIFF")
WEBP = picture("WEBP")
HEIC = picture("HEIF")
AVIF = picture("AVIF")
JP2 = picture("JPEG2000")

GOOD = {"jpg": JPEG, "png": PNG, "gif": GIF, "tif": TIFF, "webp": WEBP, "heic": HEIC, "avif": AVIF, "jp2": JP2}
"""A sound file of each format, by its suffix."""


def damaged(content: bytes, seed: int) -> bytes:
    """A file with a few bytes changed, and one time in three its end cut off."""
    dice = random.Random(seed)
    changed = bytearray(content)
    for _ in range(dice.randint(1, 12)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed[: dice.randrange(1, len(changed))] if dice.random() < 1 / 3 else changed)


ABSURD_TIFF = {256: 2**20, 257: 2**20, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 2**20, 279: 2**30}
"""Width, height and all else that it takes, by tag."""

OTHER_FORMATS = [
    Kind("cut.gif", part(GIF, 0.5), DAMAGED),
    Kind("no-frame.gif", GIF[:13] + b";", UNREADABLE),
    Kind("absurd-size.gif", replaced(GIF, 6, b"\xff\xff\xff\xff"), TOO_LARGE),
    Kind("frame-off-canvas.gif", replaced(GIF, GIF.index(b",", 13 + 3 * 256) + 1, b"\xf0\0\xf0\0"), INDEXED),
    Kind("endless-animation.gif", later(animation, "GIF", 2000), INDEXED),
    Kind("cut.webp", part(WEBP, 0.5), DAMAGED),
    Kind("lying-length.webp", replaced(WEBP, 4, b"\xff\xff\xff\x7f"), UNREADABLE),
    Kind("endless-animation.webp", later(animation, "WEBP", 50), INDEXED),
    Kind("cut.tif", part(TIFF, 0.5), DAMAGED),
    Kind("no-numbers.tif", later(no_numbers), INDEXED),
    Kind("loop-of-directories.tif", ifd((256, 4, 1, 9), (257, 4, 1, 9), follows=8), UNREADABLE),
    Kind("absurd-size.tif", ifd(*[(tag, 4, 1, value) for tag, value in ABSURD_TIFF.items()]), TOO_LARGE),
    Kind("huge-count.tif", ifd((256, 4, 2**31, 8)), UNREADABLE),
    Kind("endless.tif", b"II*\0\xff\xff\xff\xff", UNREADABLE),
    Kind("absurd-size.bmp", bmp(2**31 - 1, 2**31 - 1), TOO_LARGE),
    Kind("no-pixels.bmp", bmp(4000, 4000), DAMAGED),
    Kind("negative-size.bmp", bmp(-100, -100), f"{UNREADABLE}|{TOO_LARGE}"),
    Kind("cut.heic", part(HEIC, 0.5), DAMAGED),
    Kind("only-the-start.heic", HEIC[:40], UNREADABLE),
    Kind("cut.avif", part(AVIF, 0.5), UNREADABLE),
    Kind("absurd-boxes.avif", AVIF[:32] + b"\xff" * 200, UNREADABLE),
    Kind("cut.jp2", part(JP2, 0.3), DAMAGED),
    Kind("absurd-size.jp2", JP2.replace(struct.pack(">II", 48, 64), b"\x7f\xff\xff\xff" * 2), TOO_LARGE),
    Kind("cut.ppm", b"P6 100 100 255 abc", DAMAGED),
    Kind("absurd-size.ppm", b"P6 99999999 99999999 255 abc", TOO_LARGE),
    Kind("endless-number.ppm", b"P6 " + b"9" * 100_000, UNREADABLE),
    Kind("out-of-the-file.ico", b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0\xff\xff\xff\x7f\xff\xff\xff\x7f", UNREADABLE),
    Kind("random.tga", random.Random(2).randbytes(5000), f"{UNREADABLE}|{TOO_LARGE}"),
    Kind("cut.dng", ifd((256, 4, 1, 6000), (257, 4, 1, 4000), (50706, 1, 4, 0x0401)), UNREADABLE),
    Kind("random.cr2", b"II*\0\x10\0\0\0CR\x02\0" + random.Random(3).randbytes(50_000), UNREADABLE),
]
