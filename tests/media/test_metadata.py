"""Metadata of real files: EXIF, IPTC and XMP written byte by byte, in order, out of order and on purpose wrong."""

from __future__ import annotations

import io
import struct
import zlib
from datetime import datetime
from typing import Any

import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from clipsearch.media.decoding import decode_image
from clipsearch.media.metadata.iptc import read_iptc
from clipsearch.media.metadata.reading import read_metadata, read_raw_metadata
from clipsearch.media.metadata.tiff import TiffTags, read_tags
from clipsearch.media.metadata.values import ImageMetadata, Source
from clipsearch.media.metadata.xmp import read_xmp

pillow_heif.register_heif_opener()  # for writing; `decode_image` does it for itself

IMAGE, EXIF, GPS = ExifTags.Base, ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
NAN = (0, 0)


def rational(numerator: int, denominator: int) -> TiffImagePlugin.IFDRational:
    return TiffImagePlugin.IFDRational(numerator, denominator)


def exif_block(
    image: dict[int, Any] | None = None, photo: dict[int, Any] | None = None, gps: dict[int, Any] | None = None
) -> bytes:
    exif = Image.Exif()
    exif.update(image or {})
    exif.get_ifd(EXIF).update(photo or {})
    exif.get_ifd(GPS).update(gps or {})
    return exif.tobytes()


def save(file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 8), "red").save(file, file_format, **options)
    return file.getvalue()


def with_segment(jpeg: bytes, marker: int, body: bytes) -> bytes:
    """A JPEG with one more segment, right after its start."""
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + jpeg[2:]


def iptc_records(*records: tuple[int, int, bytes]) -> bytes:
    return b"".join(struct.pack(">BBBH", 0x1C, part, number, len(value)) + value for part, number, value in records)


def photoshop_segment(iptc: bytes) -> bytes:
    resource = b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    return b"Photoshop 3.0\0" + resource


def xmp_packet(properties: str = "", attributes: str = "") -> bytes:
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" {attributes}>{properties}
</rdf:Description></rdf:RDF></x:xmpmeta>{" " * 64}<?xpacket end="w"?>""".encode()


def alternative(name: str, *texts: tuple[str, str]) -> str:
    items = "".join(f'<rdf:li xml:lang="{language}">{text}</rdf:li>' for language, text in texts)
    return f"<dc:{name}><rdf:Alt>{items}</rdf:Alt></dc:{name}>"


def keywords(*words: str) -> str:
    return f"<dc:subject><rdf:Bag>{''.join(f'<rdf:li>{word}</rdf:li>' for word in words)}</rdf:Bag></dc:subject>"


def xmp_segment(packet: bytes) -> bytes:
    return b"http://ns.adobe.com/xap/1.0/\0" + packet


def of_exif(**directories: dict[int, Any]) -> ImageMetadata:
    return decode_image(save("JPEG", exif=exif_block(**directories))).metadata


# what a camera writes

CAMERA: dict[str, dict[int, Any]] = {
    "image": {
        IMAGE.Make: "NIKON CORPORATION",
        IMAGE.Model: "NIKON Z 6",
        IMAGE.DateTime: "2024:01:01 00:00:00",
        IMAGE.ImageDescription: "A ferry at dusk",
    },
    "photo": {
        IMAGE.DateTimeOriginal: "2021:07:14 19:28:37",
        IMAGE.DateTimeDigitized: "2022:02:02 02:02:02",
        IMAGE.OffsetTimeOriginal: "+02:00",
        IMAGE.ExposureTime: rational(1, 250),
        IMAGE.FNumber: rational(56, 10),
        IMAGE.ISOSpeedRatings: 400,
        IMAGE.FocalLength: rational(50, 1),
        IMAGE.FocalLengthIn35mmFilm: 75,
        IMAGE.LensModel: "NIKKOR Z 50mm f/1.8 S",
    },
    "gps": {
        1: "S", 2: (rational(33, 1), rational(51, 1), rational(2412, 100)),
        3: "W", 4: (rational(151, 1), rational(12, 1), rational(0, 1)),
        5: b"\x00", 6: rational(125, 10),
    },
}  # fmt: skip


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "MPO"])
def test_what_a_camera_writes_is_read_from_every_format(file_format: str) -> None:
    exif = Image.Exif()
    if file_format == "TIFF":  # Pillow writes nested directories into TIFF only from an Exif of its own
        exif.load(exif_block(**CAMERA))
    metadata = decode_image(save(file_format, exif=exif if exif else exif_block(**CAMERA))).metadata
    assert metadata == ImageMetadata(
        taken_at=datetime(2021, 7, 14, 19, 28, 37),
        taken_offset_min=120,
        taken_source=Source.EXIF,
        camera="NIKON Z 6",
        lens="NIKKOR Z 50mm f/1.8 S",
        focal_length_mm=50.0,
        focal_length_35mm=75.0,
        f_number=5.6,
        exposure_s=0.004,
        iso=400,
        latitude=-33.8567,
        longitude=-151.2,
        altitude_m=12.5,
        position_source=Source.EXIF,
        caption="A ferry at dusk",
    )


@pytest.mark.parametrize(
    "file_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "BMP", "GIF", "PPM", "JPEG2000"]
)
def test_a_picture_without_metadata_has_none(file_format: str) -> None:
    assert decode_image(save(file_format)).metadata == ImageMetadata()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_the_orientation_is_kept_as_stored(file_format: str, orientation: int) -> None:
    """pillow-heif sets it to 1 and Pillow drops it from a TIFF, since both turn the picture themselves."""
    content = save(file_format, exif=exif_block({IMAGE.Orientation: orientation}))
    expected = None if orientation == 1 and file_format in ("HEIF", "AVIF") else orientation
    assert decode_image(content).metadata.orientation in (orientation, expected)


@pytest.mark.parametrize(
    ("original", "digitized", "changed", "make", "expected"),
    [
        ("2020:05:06 07:08:09", "2021:01:01 00:00:00", "2022:01:01 00:00:00", "Canon", datetime(2020, 5, 6, 7, 8, 9)),
        (None, "2021:01:01 10:00:00", "2022:01:01 00:00:00", "Canon", datetime(2021, 1, 1, 10)),
        ("0000:00:00 00:00:00", "2021:01:01 10:00:00", None, None, datetime(2021, 1, 1, 10)),
        (None, None, "2022:01:01 00:00:00", "Canon", datetime(2022, 1, 1)),
        (None, None, "2022:01:01 00:00:00", None, None),  # a program saved it then; nobody says when it was taken
        ("2020-05-06T07:08:09.123", None, None, None, datetime(2020, 5, 6, 7, 8, 9)),
        ("2020:05:06 07:08", None, None, None, datetime(2020, 5, 6, 7, 8)),
        ("1912:04:14 23:40:00", None, None, None, datetime(1912, 4, 14, 23, 40)),
        ("2023:02:31 12:00:00", None, None, None, None),
        ("2024:02:29 12:00:00", None, None, None, datetime(2024, 2, 29, 12)),
        ("2023:02:29 12:00:00", None, None, None, None),
        ("2023:01:01 24:00:00", None, None, None, None),
        ("2023:01:01 12:60:00", None, None, None, None),
        ("2023:13:01 12:00:00", None, None, None, None),
        ("0001:01:01 00:00:00", None, None, None, None),
        ("9999:12:31 23:59:59", None, None, None, None),
        ("    :  :     :  :  ", None, None, None, None),
        ("yesterday", None, None, None, None),
        ("", None, None, None, None),
    ],
)
def test_when_it_was_taken(
    original: str | None, digitized: str | None, changed: str | None, make: str | None, expected: datetime | None
) -> None:
    image = {IMAGE.DateTime: changed, IMAGE.Make: make}
    photo = {IMAGE.DateTimeOriginal: original, IMAGE.DateTimeDigitized: digitized}
    metadata = of_exif(
        image={tag: value for tag, value in image.items() if value is not None},
        photo={tag: value for tag, value in photo.items() if value is not None},
    )
    assert metadata.taken_at == expected


@pytest.mark.parametrize(
    ("offset", "minutes"),
    [
        ("+02:00", 120), ("-03:30", -210), ("+05:45", 345), ("+14:00", 840), ("-12:00", -720), ("Z", 0),
        ("+00:00", 0), ("+0200", 120), ("+15:00", None), ("-99:00", None), ("+02:75", None), ("   :  ", None),
        ("CEST", None), ("", None),
    ],
)  # fmt: skip
def test_the_offset_from_utc(offset: str, minutes: int | None) -> None:
    photo = {IMAGE.DateTimeOriginal: "2020:05:06 07:08:09", IMAGE.OffsetTimeOriginal: offset}
    assert of_exif(photo=photo).taken_offset_min == minutes


def test_an_offset_without_its_time_says_nothing() -> None:
    photo = {IMAGE.DateTimeDigitized: "2020:05:06 07:08:09", IMAGE.OffsetTimeOriginal: "+02:00"}
    assert of_exif(photo=photo).taken_offset_min is None
    assert of_exif(photo={IMAGE.OffsetTimeOriginal: "+02:00"}).taken_offset_min is None


@pytest.mark.parametrize(
    ("make", "model", "expected"),
    [
        ("Canon", "Canon EOS 5D Mark IV", "Canon EOS 5D Mark IV"),
        ("NIKON CORPORATION", "NIKON D750", "NIKON D750"),
        ("SONY", "ILCE-7M3", "SONY ILCE-7M3"),
        ("EASTMAN KODAK COMPANY", "KODAK EASYSHARE C813", "KODAK EASYSHARE C813"),
        ("OLYMPUS IMAGING CORP.  ", "E-M10  ", "OLYMPUS E-M10"),
        ("Apple", "iPhone 15", "Apple iPhone 15"),
        ("Canon\0\0junk", "Canon EOS R\0", "Canon EOS R"),
        ("Company", "One", "Company One"),
        ("Apple", None, "Apple"),
        (None, "iPhone 15", "iPhone 15"),
        ("\x01\x02", "\x7f", None),
        (" ", "", None),
    ],
)
def test_the_camera_is_named_once(make: str | None, model: str | None, expected: str | None) -> None:
    image = {IMAGE.Make: make, IMAGE.Model: model}
    assert of_exif(image={tag: value for tag, value in image.items() if value is not None}).camera == expected


@pytest.mark.parametrize("name", ["----", "0.0 mm f/0.0", "", "  ", "\0\0"])
def test_a_lens_without_a_name_is_none(name: str) -> None:
    assert of_exif(photo={IMAGE.LensModel: name}).lens is None


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ({IMAGE.ISOSpeedRatings: (200, 0)}, {"iso": 200}),
        ({IMAGE.ISOSpeedRatings: 0}, {}),
        ({IMAGE.ISOSpeedRatings: 65535}, {}),
        ({IMAGE.ISOSpeedRatings: 65535, 0x8832: 102_400}, {"iso": 102_400}),
        ({IMAGE.ExposureTime: rational(30, 1)}, {"exposure_s": 30.0}),
        ({IMAGE.ExposureTime: rational(0, 1)}, {}),
        ({IMAGE.ExposureTime: rational(1, 0)}, {}),
        ({IMAGE.ExposureTime: rational(0, 0), 0x9201: rational(6, 1)}, {"exposure_s": 1 / 64}),
        ({IMAGE.FNumber: rational(0, 0)}, {}),
        ({IMAGE.FNumber: rational(0, 1), 0x9202: rational(3, 1)}, {"f_number": 2.8}),
        ({IMAGE.FNumber: rational(2**32 - 1, 1)}, {}),
        ({IMAGE.FocalLength: rational(0, 0)}, {}),
        ({IMAGE.FocalLength: rational(0, 10)}, {}),
        ({IMAGE.FocalLength: "fifty"}, {}),
        ({IMAGE.FocalLengthIn35mmFilm: 0}, {}),
    ],
)
def test_exposure_makes_sense_or_is_left_out(photo: dict[int, Any], expected: dict[str, Any]) -> None:
    assert of_exif(photo=photo) == ImageMetadata(**expected)


def degrees(*parts: int) -> tuple[TiffImagePlugin.IFDRational, ...]:
    return tuple(rational(part, 1) for part in parts)


@pytest.mark.parametrize(
    ("gps", "expected"),
    [
        ({1: "N", 2: degrees(48, 8, 30), 3: "E", 4: degrees(11, 34, 12)}, (48.1416667, 11.57)),
        ({1: "n", 2: degrees(48, 8, 30), 3: "w", 4: degrees(11, 34, 12)}, (48.1416667, -11.57)),
        ({1: "N", 2: (rational(48, 1), rational(85, 10)), 3: "E", 4: degrees(11, 34)}, (48.1416667, 11.5666667)),
        ({1: "N", 2: rational(485, 10), 3: "E", 4: rational(115, 10)}, (48.5, 11.5)),
        ({2: degrees(48, 8, 30), 4: degrees(11, 34, 12)}, (48.1416667, 11.57)),
        ({1: "N", 2: degrees(90, 0, 0), 3: "W", 4: degrees(180, 0, 0)}, (90.0, -180.0)),
        ({1: "N", 2: degrees(0, 0, 0), 3: "E", 4: degrees(0, 0, 0)}, (None, None)),  # no fix, in the Gulf of Guinea
        ({1: "S", 2: rational(1, 10**6), 3: "W", 4: rational(1, 10**6)}, (None, None)),
        ({1: "N", 2: degrees(0, 0, 0), 3: "E", 4: degrees(9, 27, 0)}, (0.0, 9.45)),  # the equator has people on it
        ({1: "N", 2: degrees(51, 28, 0), 3: "E", 4: degrees(0, 0, 0)}, (51.4666667, 0.0)),  # and so has Greenwich
        ({2: degrees(0, 0, 0), 4: degrees(0, 0, 0)}, (None, None)),  # no fix
        ({1: "\0", 2: degrees(0, 0, 0), 3: "\0", 4: degrees(0, 0, 0)}, (None, None)),
        ({1: "N", 2: degrees(91, 0, 0), 3: "E", 4: degrees(11, 34, 12)}, (None, None)),
        ({1: "N", 2: degrees(90, 0, 1), 3: "E", 4: degrees(11, 34, 12)}, (None, None)),
        ({1: "N", 2: degrees(48, 0, 0), 3: "E", 4: degrees(180, 1, 0)}, (None, None)),
        ({1: "N", 2: degrees(48, 61, 0), 3: "E", 4: degrees(11, 0, 0)}, (None, None)),
        ({1: "N", 2: degrees(48, 0, 0)}, (None, None)),
        ({1: "N", 2: (rational(0, 0),) * 3, 3: "E", 4: degrees(11, 0, 0)}, (None, None)),
        ({1: "N", 2: (*degrees(48, 8), rational(0, 0)), 3: "E", 4: degrees(11, 0, 0)}, (None, None)),
        ({1: "N", 2: degrees(48, 8, 30, 2), 3: "E", 4: degrees(11, 34, 12)}, (None, None)),
    ],
)
def test_the_position_is_on_the_globe_or_nowhere(gps: dict[int, Any], expected: tuple[float, float]) -> None:
    metadata = of_exif(gps=gps)
    assert (metadata.latitude, metadata.longitude) == expected


@pytest.mark.parametrize(
    ("gps", "expected"),
    [
        ({5: b"\0", 6: rational(1234, 10)}, 123.4),
        ({5: b"\1", 6: rational(430, 1)}, -430.0),
        ({6: rational(8848, 1)}, 8848.0),
        ({5: b"\0", 6: rational(0, 0)}, None),
        ({5: b"\0", 6: rational(2**32 - 1, 1)}, None),
    ],
)
def test_the_altitude(gps: dict[int, Any], expected: float | None) -> None:
    assert of_exif(gps=gps).altitude_m == expected


# what people write


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        (b"Zo\xc3\xab in K\xc3\xb6ln", "Zoë in Köln"),  # UTF-8, which EXIF 3 allows
        (b"Zo\xeb in K\xf6ln", "Zoë in Köln"),  # Latin-1, which many write
        (b"one\r\n\ttwo\x07\x1b[31m three", "one two [31m three"),
        (b"said\0and never shown", "said"),
        (b"OLYMPUS DIGITAL CAMERA         ", None),
        (b"SONY DSC", None),
        (b"x" * 5000, "x" * 2000),
        (b"   ", None),
    ],
)
def test_the_exif_description_is_the_caption(caption: bytes, expected: str | None) -> None:
    assert of_exif(image={IMAGE.ImageDescription: caption}).caption == expected


def test_windows_tags() -> None:
    image = {
        IMAGE.XPTitle: "Große Fähre\0".encode("utf-16-le"),
        IMAGE.XPComment: "Abends\0".encode("utf-16-le"),
        IMAGE.XPKeywords: "Meer;Schiff; meer;\0".encode("utf-16-le"),
        IMAGE.Rating: 4,
    }
    assert of_exif(image=image) == ImageMetadata(
        title="Große Fähre", caption="Abends", keywords=("Meer", "Schiff"), rating=4
    )


UTF_8 = (1, 90, b"\x1b%G")


@pytest.mark.parametrize(
    "records",
    [
        [UTF_8, (2, 5, "Fähre".encode()), (2, 120, "Köln, abends".encode()), (2, 25, b"Schiff")],
        [(2, 5, "Fähre".encode()), (2, 120, "Köln, abends".encode()), (2, 25, b"Schiff")],
        [(2, 5, "Fähre".encode("latin-1")), (2, 120, "Köln, abends".encode("latin-1")), (2, 25, b"Schiff")],
        [(1, 90, b"\x1b.A"), (2, 5, "Fähre".encode("latin-1")), (2, 120, b"K\xf6ln, abends"), (2, 25, b"Schiff")],
    ],
    ids=["UTF-8", "UTF-8 undeclared", "Latin-1 undeclared", "Latin-1"],
)
@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_iptc_is_read_in_its_character_set(file_format: str, records: list[tuple[int, int, bytes]]) -> None:
    iptc = iptc_records(*records, (2, 25, b"Rhein"), (2, 25, b"schiff"))
    if file_format == "JPEG":
        content = with_segment(save("JPEG"), 0xED, photoshop_segment(iptc))
    else:
        content = save("TIFF", tiffinfo={0x83BB: iptc})
    assert decode_image(content).metadata == ImageMetadata(
        title="Fähre", caption="Köln, abends", keywords=("Schiff", "Rhein")
    )


def test_iptc_that_a_tiff_declares_as_numbers() -> None:
    """Photoshop gives the tag the type LONG, so that a reader that believes it swaps the bytes."""
    iptc = iptc_records((2, 5, b"Ferry!!"))
    content = save("TIFF", tiffinfo={0x83BB: iptc})
    opaque, numbers = (struct.pack("<HHI", 0x83BB, *entry) for entry in ((7, 12), (4, 3)))
    assert content.count(opaque) == 1
    assert decode_image(content.replace(opaque, numbers)).metadata.title == "Ferry!!"


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_truncated_iptc_gives_what_was_whole(cut: int) -> None:
    iptc = iptc_records((2, 5, b"Ferry"), (2, 120, b"At dusk"), (2, 25, b"ship"))
    found = read_iptc(iptc[:cut])
    assert found.title == ("Ferry" if cut >= 10 else None)
    assert found.caption == ("At dusk" if cut >= 22 else None)
    assert found.keywords == (("ship",) if cut >= 31 else ())


@pytest.mark.parametrize(
    "iptc",
    [
        b"\x1c\x02\x05\xff\xff\xff\xff\xff\xff",
        b"\x1c\x02\x05\x80\x04\xff\xff\xff\xff",
        b"\x1c\x02\x05\xff\xffFerry",
        b"\x1c" * 100_000,
        b"",
    ],
)
def test_iptc_lengths_are_not_believed(iptc: bytes) -> None:
    assert read_iptc(iptc).title is None


def test_iptc_with_an_extended_length() -> None:
    assert read_iptc(b"\x1c\x02\x05\x80\x04" + struct.pack(">I", 5) + b"Ferry").title == "Ferry"


FERRY = xmp_packet(
    alternative("title", ("de", "Fähre"), ("x-default", "Ferry"))
    + alternative("description", ("x-default", "A ferry\n  at dusk"))
    + keywords("ship", "sea &amp; sky", "Ship", "Düne")
    + "<aux:Lens>EF50mm f/1.4</aux:Lens>",
    'xmp:Rating="5" tiff:Orientation="1"',
)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_xmp_is_read_from_every_format(file_format: str) -> None:
    options: dict[str, Any] = {"xmp": FERRY}
    if file_format == "TIFF":
        options = {"tiffinfo": {700: FERRY}}
    elif file_format == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", FERRY.decode())
        options = {"pnginfo": chunks}
    metadata = decode_image(save(file_format, **options)).metadata
    assert (metadata.title, metadata.caption, metadata.rating) == ("Ferry", "A ferry at dusk", 5)
    assert metadata.keywords == ("ship", "sea & sky", "Düne")
    assert metadata.lens == "EF50mm f/1.4"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_xmp_in_every_encoding(encoding: str) -> None:
    assert read_xmp(FERRY.decode().encode(encoding)).keywords == ("ship", "sea & sky", "Düne")


@pytest.mark.parametrize(
    ("rating", "expected"),
    [("3", 3), ("-1", -1), ("4.0", 4), ("0", 0), ("6", None), ("-2", None), ("nan", None), ("1e9", None), ("", None)],
)
def test_the_xmp_rating_is_in_range(rating: str, expected: int | None) -> None:
    assert read_xmp(xmp_packet(attributes=f'xmp:Rating="{rating}"')).rating == expected
    assert read_xmp(xmp_packet(f"<xmp:Rating>{rating}</xmp:Rating>")).rating == expected


def test_xmp_counts_before_iptc_before_exif_before_png_text() -> None:
    exif = exif_block({IMAGE.ImageDescription: "exif", IMAGE.XPTitle: "exif\0".encode("utf-16-le"), IMAGE.Rating: 1})
    iptc = iptc_records((2, 5, b"iptc"), (2, 120, b"iptc"), (2, 25, b"iptc"))
    everything = xmp_packet(
        alternative("title", ("x-default", "xmp")) + alternative("description", ("x-default", "xmp")) + keywords("xmp"),
        'xmp:Rating="2"',
    )
    jpeg = save("JPEG", exif=exif)
    assert decode_image(jpeg).metadata == ImageMetadata(title="exif", caption="exif", rating=1)
    jpeg = with_segment(jpeg, 0xED, photoshop_segment(iptc))
    assert decode_image(jpeg).metadata == ImageMetadata(title="iptc", caption="iptc", keywords=("iptc",), rating=1)
    only_title = with_segment(jpeg, 0xE1, xmp_segment(xmp_packet(alternative("title", ("x-default", "xmp")))))
    assert decode_image(only_title).metadata == ImageMetadata(title="xmp", caption="iptc", keywords=("iptc",), rating=1)
    jpeg = with_segment(jpeg, 0xE1, xmp_segment(everything))
    assert decode_image(jpeg).metadata == ImageMetadata(title="xmp", caption="xmp", keywords=("xmp",), rating=2)


def test_png_text_is_title_and_caption() -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Title", "Ferry")
    chunks.add_itxt("Description", "At dusk in Köln")
    chunks.add_text("Software", "some program")
    assert decode_image(save("PNG", pnginfo=chunks)).metadata == ImageMetadata(title="Ferry", caption="At dusk in Köln")
    chunks.add_itxt("XML:com.adobe.xmp", xmp_packet(alternative("title", ("x-default", "From XMP"))).decode())
    assert decode_image(save("PNG", pnginfo=chunks)).metadata.title == "From XMP"


def test_png_metadata_behind_the_pixels_is_read() -> None:
    png = save("PNG", exif=exif_block({IMAGE.Orientation: 6, IMAGE.Make: "Canon"}))
    start = png.index(b"eXIf") - 4
    end = start + 12 + struct.unpack_from(">I", png, start)[0]
    moved = png[:start] + png[end:-12] + png[start:end] + png[-12:]
    decoded = decode_image(moved)
    assert (decoded.metadata.camera, decoded.metadata.orientation) == ("Canon", 6)
    assert (decoded.width, decoded.height) == decoded.image.size == (8, 16)


def test_texts_and_keywords_are_capped() -> None:
    packet = xmp_packet(
        alternative("title", ("x-default", "t" * 9000))
        + keywords(*(f"{number:05}{'k' * 500}" for number in range(999)))
    )
    found = read_xmp(packet)
    assert len(found.title or "") == 2000
    assert len(found.keywords) == 200
    assert {len(keyword) for keyword in found.keywords} == {200}
    iptc = iptc_records(*((2, 25, f"k{number}".encode()) for number in range(3000)))
    assert len(read_iptc(iptc).keywords) == 200


# what is wrong, and what means harm

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE_XMP = {
    "billion laughs": f'<!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}]><x>&l9;</x>'.encode(),
    "external entity": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><x>&e;</x>',
    "external doctype": b'<!DOCTYPE x SYSTEM "http://localhost:1/x.dtd"><x/>',
    "doctype in UTF-16": '<!DOCTYPE x [<!ENTITY e "ee">]><x>&e;</x>'.encode("utf-16"),
    "doctype in declared UTF-7": b'<?xml version="1.0" encoding="utf-7"?>+ADw-!DOCTYPE x+AD4-<x/>',
    "undefined entity": b"<x>&nobody;</x>",
    "unclosed": FERRY[:400],
    "no XML": b"Ferry " * 100,
    "empty": b"",
    "zeros": bytes(1000),
    "deep": b"<a>" * 200_000 + b"</a>" * 10,
    "deep and whole": b"<a>" * 100_000 + b"</a>" * 100_000,
    "huge": FERRY + b" " * 2**20,
    "control characters": FERRY.replace(b"Ferry", b"\x01\x02"),
    "no RDF": b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>',
}


@pytest.mark.parametrize("packet", HOSTILE_XMP.values(), ids=HOSTILE_XMP.keys())
def test_hostile_xmp_is_left_unread(packet: bytes) -> None:
    assert read_xmp(packet) == type(read_xmp(b""))()


def test_a_doctype_before_a_true_packet_spoils_it() -> None:
    body = FERRY[FERRY.index(b"<x:xmpmeta") : FERRY.rindex(b">", 0, FERRY.rindex(b"<?xpacket")) + 1]
    assert read_xmp(body).title == "Ferry"
    assert read_xmp(b'<!DOCTYPE x [<!ENTITY e "ee">]>' + body).title is None
    assert read_xmp(b"<!-- a comment --> " + body).title == "Ferry"


def _ifd(order: str, *entries: tuple[int, int, int, int], start: int = 8) -> bytes:
    mark = b"II" if order == "<" else b"MM"
    table = b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
    return mark + struct.pack(f"{order}HIH", 42, start, len(entries)) + table + bytes(4)


HOSTILE_EXIF = {
    "nothing": b"",
    "garbage": b"garbage" * 10,
    "header only": b"II*\0",
    "directory beyond the end": b"II*\0\xff\xff\xff\xff",
    "directory in the header": _ifd("<", (0x010F, 2, 4, 0), start=0),
    "more entries than bytes": b"MM\0*\0\0\0\x08\xff\xff" + bytes(100),
    "value beyond the end": _ifd("<", (0x010F, 2, 100, 0xFFFFFF)),
    "value of four gigabytes": _ifd("<", (0x010F, 2, 0xFFFFFFFF, 8)),
    "count that overflows": _ifd(">", (0x010F, 12, 0xFFFFFFFF, 8)),
    "unknown type": _ifd("<", (0x010F, 99, 1, 0)),
    "Exif directory is its own parent": _ifd("<", (0x8769, 4, 1, 8), (0x8825, 4, 1, 8)),
    "Exif directory beyond the end": _ifd("<", (0x8769, 4, 1, 0xFFFFFFFF)),
    "Exif directory of NaN": _ifd("<", (0x8769, 11, 1, 0x7FC00000)),
    "Exif directory at minus one": _ifd("<", (0x8769, 9, 1, 0xFFFFFFFF)),
    "text where numbers belong": _ifd("<", (0x0112, 2, 4, 0x41414141)),
    "numbers where text belongs": _ifd("<", (0x010F, 4, 1, 7), (0x9003, 4, 1, 7)),
    "orientation of 9": _ifd("<", (0x0112, 3, 1, 9)),
    "orientation of NaN": _ifd("<", (0x0112, 11, 1, 0x7FC00000)),
    "BigTIFF beyond the end": b"II+\0\x08\0\0\0" + b"\xff" * 8,
}


@pytest.mark.parametrize("block", HOSTILE_EXIF.values(), ids=HOSTILE_EXIF.keys())
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_malformed_exif_spoils_neither_the_picture_nor_the_rest(file_format: str, block: bytes) -> None:
    options = {"xmp": FERRY} if file_format != "PNG" else {}
    decoded = decode_image(save(file_format, exif=b"Exif\0\0" + block, **options))
    assert decoded.image.size == (16, 8)
    metadata = decoded.metadata
    assert metadata.camera is None
    assert metadata.taken_at is None
    if options:
        assert metadata.title == "Ferry"


def test_one_bad_tag_costs_only_itself() -> None:
    block = exif_block(**CAMERA)
    broken = block.replace(b"NIKON Z 6\0", b"\xff" * 10).replace(b"2021:07:14", b"20\0\0:07:14")
    metadata = decode_image(save("JPEG", exif=broken)).metadata
    assert metadata.taken_at == datetime(2022, 2, 2, 2, 2, 2)
    assert (metadata.iso, metadata.latitude) == (400, -33.8567)


@pytest.mark.parametrize("keep", range(0, 700, 25))
def test_truncated_exif_gives_what_is_left(keep: int) -> None:
    decoded = decode_image(save("JPEG", exif=exif_block(**CAMERA)[: 6 + keep]))
    assert decoded.image.size == (16, 8)


def test_a_malformed_colour_profile_spoils_no_picture() -> None:
    for file_format in ("JPEG", "PNG", "WEBP", "TIFF"):
        assert decode_image(save(file_format, icc_profile=b"no profile" * 50)).image.size == (16, 8)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize(
    "chunk",
    [
        _chunk(b"iCCP", b"name\0\7xx"),
        _chunk(b"iCCP", b"name\0\0no zlib"),
        _chunk(b"iCCP", b""),
        _chunk(b"zTXt", b"Title\0\5xx"),
        _chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(3 * 2**20))),
        _chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0no zlib"),
        _chunk(b"eXIf", b""),
        _chunk(b"eXIf", b"II*\0")[:-1] + b"?",  # a wrong check sum
        _chunk(b"pHYs", b""),
    ],
    ids=lambda chunk: f"{chunk[4:8].decode()} {len(chunk)}",
)
def test_a_malformed_png_chunk_spoils_no_picture(chunk: bytes) -> None:
    png = save("PNG")
    after_header = 8 + 25
    decoded = decode_image(png[:after_header] + chunk + png[after_header:])
    assert decoded.image.size == (16, 8)
    assert decoded.metadata == ImageMetadata()


@pytest.mark.parametrize("file_format", ["AVIF", "HEIF"])
def test_malformed_exif_spoils_no_heic_or_avif(file_format: str) -> None:
    content = save(file_format, exif=exif_block({IMAGE.Make: "Canon"}), xmp=FERRY)
    assert content.count(b"MM\0*") == 1
    decoded = decode_image(content.replace(b"MM\0*", b"oops"))
    assert decoded.image.size == (16, 8)
    assert decoded.metadata.camera is None


def test_tags_in_either_byte_order_and_in_bigtiff() -> None:
    for order in "<>":
        value = 6 if order == "<" else 6 << 16  # a short stands at the start of its field
        assert read_tags(io.BytesIO(_ifd(order, (0x0112, 3, 1, value)))).image == {0x0112: (6,)}
    big = b"II" + struct.pack("<HHHQ", 43, 8, 0, 16) + struct.pack("<QHHQ8s", 1, 0x0112, 3, 1, b"\6" + bytes(7))
    assert read_tags(io.BytesIO(big)).image == {0x0112: (6,)}


def test_only_tiff_structures_have_tags() -> None:
    assert read_raw_metadata(b"FUJIFILMCCD-RAW 0201" + bytes(100)) is None
    assert read_raw_metadata(b"") is None


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_make_the_readers_raise(data: bytes) -> None:
    assert isinstance(read_tags(io.BytesIO(data)), TiffTags)
    read_iptc(data)
    read_iptc(b"\x1c\x02\x19" + data)
    read_xmp(data)
    read_xmp(xmp_packet().replace(b"</rdf:Description>", data + b"</rdf:Description>"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 255)), max_size=30))
def test_no_damage_to_exif_makes_reading_raise(damage: list[tuple[int, int]]) -> None:
    block = bytearray(exif_block(**CAMERA))
    for at, value in damage:
        block[6 + at % (len(block) - 6)] = value
    opened = Image.open(io.BytesIO(save("JPEG")))
    opened.info["exif"] = bytes(block)
    metadata = read_metadata(opened)
    assert metadata.latitude is None or -90 <= metadata.latitude <= 90
    assert metadata.longitude is None or -180 <= metadata.longitude <= 180
    assert metadata.iso is None or metadata.iso > 0


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([0x010E, 0x0112, 0x829A, 0x8827]),
        st.tuples(st.integers(0, 20), st.binary(max_size=4), st.integers(0, 2**32 - 1)),
    )
)
def test_no_type_or_count_makes_reading_raise(entries: dict[int, tuple[int, bytes, int]]) -> None:
    table = b"".join(
        struct.pack("<HHI", tag, kind, count) + raw.ljust(4, b"\0") for tag, (kind, raw, count) in entries.items()
    )
    read_raw_metadata(b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(64))


@pytest.mark.parametrize(
    ("comment", "caption"),
    [
        (b"ASCII\0\0\0In the harbor\0\0", "In the harbor"),
        (b"UNICODE\0" + "Am Hafen, früh".encode("utf-16-le"), "Am Hafen, früh"),
        (b"UNICODE\0" + "Am Hafen, früh".encode("utf-16-be"), "Am Hafen, früh"),
        (b"UNICODE\0" + "朝の港で".encode("utf-16-le"), "朝の港で"),
        (b"JIS\0\0\0\0\0" + "朝の港で".encode("iso2022_jp"), "朝の港で"),
        (bytes(8) + "Am Hafen, früh".encode(), "Am Hafen, früh"),
        (b"A comment without a code", "A comment without a code"),
        (b"ASCII\0\0\0" + bytes(40), None),
        (b"ASCII\0\0\0" + b" " * 40, None),
        (bytes(8) + bytes(range(1, 60)), None),  # what some cameras keep of their own there
        (b"UNICODE\0a", None),
        (b"", None),
    ],
)
def test_a_user_comment_is_the_caption_where_no_other_is(comment: bytes, caption: str | None) -> None:
    assert of_exif(photo={IMAGE.UserComment: comment}).caption == caption
    assert of_exif(image={IMAGE.ImageDescription: "A cat"}, photo={IMAGE.UserComment: comment}).caption == "A cat"


def extended_xmp(main: str, rest: bytes, *, pieces: int, name: str = "A" * 32, lost: int | None = None) -> bytes:
    """A JPEG whose XMP is in several segments."""
    described = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{}</rdf:RDF></x:xmpmeta>'
    note = f'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{"A" * 32}"'
    packet = described.format(f"<rdf:Description {note} {main}/>").encode()
    size = -(-len(rest) // pieces)
    segments = [b"http://ns.adobe.com/xap/1.0/\0" + packet]
    for start in reversed(range(0, len(rest), size)):  # in any order
        if start // size != lost:
            head = f"http://ns.adobe.com/xmp/extension/\0{name}".encode() + struct.pack(">II", len(rest), start)
            segments.append(head + rest[start : start + size])
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    written = b"".join(struct.pack(">BBH", 0xFF, 0xE1, len(each) + 2) + each for each in segments)
    return out.getvalue()[:2] + written + out.getvalue()[2:]


def test_xmp_in_several_segments_is_read_whole() -> None:
    rest = (
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="1">'
        b"<dc:subject><rdf:Bag><rdf:li>harbor</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF>"
    )
    main = 'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"'
    found = decode_image(extended_xmp(main, rest, pieces=3)).metadata
    assert (found.rating, found.keywords) == (4, ("harbor",))
    for damaged in (
        extended_xmp(main, rest, pieces=3, lost=1),
        extended_xmp(main, rest, pieces=3, name="B" * 32),
        extended_xmp(main, rest[:-20], pieces=2),
    ):
        found = decode_image(damaged).metadata
        assert (found.rating, found.keywords) == (4, ())
