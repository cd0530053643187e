"""XMP as many programs write it: other names for the same thing, and values that are none."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipsearch.media.metadata.sources import best_date
from clipsearch.media.metadata.values import Source
from clipsearch.media.metadata.xmp import read_xmp

NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "acdsee": "http://ns.acdsee.com/iptc/1.0/",
    "mediapro": "http://ns.iview-multimedia.com/mediapro/1.0/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}


def packet(properties: str = "", **attributes: str) -> bytes:
    """A packet with elements, and with attributes whose names have ``_`` for the colon."""
    names = "".join(f' xmlns:{prefix}="{name}"' for prefix, name in NAMESPACES.items())
    values = "".join(f' {name.replace("_", ":", 1)}="{value}"' for name, value in attributes.items())
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"{names}>'
        f'<rdf:Description rdf:about=""{values}>{properties}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def bag(name: str, *values: str, kind: str = "Bag") -> str:
    items = "".join(f"<rdf:li>{value}</rdf:li>" for value in values)
    return f"<{name}><rdf:{kind}>{items}</rdf:{kind}></{name}>"


CATEGORIES = "&lt;Categories&gt;&lt;Category Assigned=&quot;1&quot;&gt;Crete&lt;/Category&gt;&lt;/Categories&gt;"
FACE = (
    '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag>{}</rdf:Bag></mwg-rs:RegionList>'
    "</mwg-rs:Regions>"
)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (bag("dc:subject", "Crete", "sea"), ("Crete", "sea")),
        (bag("dc:subject", "Da\u0308nemark"), ("Dänemark",)),  # decomposed, as macOS has it
        (bag("lr:hierarchicalSubject", "Places|Europe|Crete"), ("Crete", "Europe", "Places")),
        (bag("dc:subject", "Crete") + bag("lr:hierarchicalSubject", "Places|Crete"), ("Crete", "Places")),
        (bag("lr:hierarchicalSubject", "darktable|exported", "sea"), ("sea",)),
        (bag("digiKam:TagsList", "Places/Crete", "sea", kind="Seq"), ("Crete", "Places", "sea")),
        (bag("digiKam:TagsList", "_Digikam_Internal_Tags_/Color Label Red", kind="Seq"), ()),
        (bag("MicrosoftPhoto:LastKeywordXMP", "Places/Crete"), ("Crete", "Places")),
        (bag("mediapro:CatalogSets", "Places|Crete"), ("Crete", "Places")),
        (f"<acdsee:categories>{CATEGORIES}</acdsee:categories>", ("Crete",)),
        (bag("Iptc4xmpExt:PersonInImage", "Anna Ny", "Ben"), ("Anna Ny", "Ben")),
        (
            FACE.format('<rdf:li><rdf:Description mwg-rs:Name="Anna" mwg-rs:Type="Face"/></rdf:li>'),
            ("Anna",),
        ),
        (
            FACE.format(
                "".join(
                    f'<rdf:li rdf:parseType="Resource"><mwg-rs:Name>{name}</mwg-rs:Name>'
                    f"<mwg-rs:Type>{kind}</mwg-rs:Type></rdf:li>"
                    for name, kind in (("Anna", "Face"), ("Rex", "Pet"))
                )
            ),
            ("Anna", "Rex"),
        ),
        (FACE.format('<rdf:li><rdf:Description mwg-rs:Name="4006381" mwg-rs:Type="BarCode"/></rdf:li>'), ()),
        (
            '<MP:RegionInfo><rdf:Description><MPRI:Regions><rdf:Bag><rdf:li MPReg:PersonDisplayName="Anna"/></rdf:Bag>'
            "</MPRI:Regions></rdf:Description></MP:RegionInfo>",
            ("Anna",),
        ),
    ],
)
def test_keywords_and_people(properties: str, expected: tuple[str, ...]) -> None:
    assert read_xmp(packet(properties)).keywords == expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"exif_DateTimeOriginal": "1987-06-05T04:03:02+02:00"}, (datetime(1987, 6, 5, 4, 3, 2), 120)),
        ({"photoshop_DateCreated": "1987-06-05T04:03:02"}, (datetime(1987, 6, 5, 4, 3, 2), None)),
        ({"photoshop_DateCreated": "1987-06-05"}, (datetime(1987, 6, 5), None)),
        ({"photoshop_DateCreated": "1987-06"}, (datetime(1987, 6, 1), None)),
        ({"photoshop_DateCreated": "1987"}, (datetime(1987, 1, 1), None)),
        ({"xmp_CreateDate": "1987-06-05T04:03Z"}, (datetime(1987, 6, 5, 4, 3), 0)),
        ({"exif_DateTimeDigitized": "1987-06-05T04:03:02"}, (datetime(1987, 6, 5, 4, 3, 2), None)),
        ({"acdsee_datetime": "1987-06-05T04:03:02"}, (datetime(1987, 6, 5, 4, 3, 2), None)),
        # a scan: digitized later than it was taken
        (
            {"xmp_CreateDate": "2015-01-02T10:00:00", "photoshop_DateCreated": "1987-06-05"},
            (datetime(1987, 6, 5), None),
        ),
        # the next best, where the best is a clock's default
        (
            {"exif_DateTimeOriginal": "1970-01-01T00:00:00", "xmp_CreateDate": "2015-01-02"},
            (datetime(2015, 1, 2), None),
        ),
        ({"xmp_ModifyDate": "2015-01-02T10:00:00", "xmp_MetadataDate": "2015-01-02T10:00:00"}, None),
        ({"exif_DateTimeOriginal": "9999-99-99T99:99:99"}, None),
        ({"exif_DateTimeOriginal": "1e308"}, None),
    ],
)
def test_dates(attributes: dict[str, str], expected: tuple[datetime, int | None] | None) -> None:
    found = best_date(read_xmp(packet(**attributes)).dates)
    assert (found and (found.at, found.offset_min)) == expected
    assert found is None or found.source == Source.XMP


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("50,56.2355N", "6,57.6E"), (50.9372583, 6.96)),
        (("50,56,14.13N", "6,57,36E"), (50.9372583, 6.96)),
        (("50,56.2355S", "6,57.6W"), (-50.9372583, -6.96)),
        (("50.9372583", "6.96"), (50.9372583, 6.96)),
        (("-50.9372583", "-6.96"), (-50.9372583, -6.96)),
        (("50.9372583N", "6.96w"), (50.9372583, -6.96)),
        (("0,0N", "9,27E"), (0.0, 9.45)),
        (("0,0N", "0,0E"), (None, None)),
        (("0.0", "0.0"), (None, None)),
        (("90,0.0N", "180,0.0W"), (90.0, -180.0)),
        (("91,0.0N", "6,57.6E"), (None, None)),
        (("50,61.0N", "6,57.6E"), (None, None)),
        (("50,56.2355E", "6,57.6E"), (None, None)),
        (("50,56.2355N", ""), (None, None)),
        (("nan", "inf"), (None, None)),
        (("1e308", "6.96"), (None, None)),
        (("north", "east"), (None, None)),
    ],
)
def test_positions(values: tuple[str, str], expected: tuple[float | None, float | None]) -> None:
    found = read_xmp(packet(exif_GPSLatitude=values[0], exif_GPSLongitude=values[1])).position
    assert found[:2] == expected


def test_a_position_with_its_hemispheres_elsewhere_and_its_altitude() -> None:
    found = read_xmp(
        packet(
            exif_GPSLatitude="33.85", exif_GPSLatitudeRef="S", exif_GPSLongitude="151.2", exif_GPSLongitudeRef="E",
            exif_GPSAltitude="125/10", exif_GPSAltitudeRef="1",
        )
    )  # fmt: skip
    assert found.position == (-33.85, 151.2, -12.5)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"xmp_Rating": "4"}, 4),
        ({"xmp_Rating": "-1"}, -1),
        ({"MicrosoftPhoto_Rating": "1"}, 1),
        ({"MicrosoftPhoto_Rating": "25"}, 2),
        ({"MicrosoftPhoto_Rating": "50"}, 3),
        ({"MicrosoftPhoto_Rating": "75"}, 4),
        ({"MicrosoftPhoto_Rating": "99"}, 5),
        ({"MicrosoftPhoto_Rating": "100"}, 5),
        ({"MicrosoftPhoto_Rating": "0"}, 0),
        ({"MicrosoftPhoto_Rating": "75", "xmp_Rating": "2"}, 2),
        ({"acdsee_rating": "3"}, 3),
        ({"xmp_Rating": "nan", "acdsee_rating": "3"}, 3),
        ({"MicrosoftPhoto_Rating": "1e308"}, None),
        ({"xmp_Rating": "99"}, None),
    ],
)
def test_ratings(attributes: dict[str, str], expected: int | None) -> None:
    assert read_xmp(packet(**attributes)).rating == expected


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ("<photoshop:Headline>Ferry</photoshop:Headline>", ("Ferry", None)),
        ("<acdsee:caption>Ferry</acdsee:caption><acdsee:notes>dusk</acdsee:notes>", ("Ferry", "dusk")),
        (bag("tiff:ImageDescription", "dusk", kind="Alt"), (None, "dusk")),
        (bag("exif:UserComment", "dusk", kind="Alt") + bag("dc:title", "Ferry", kind="Alt"), ("Ferry", "dusk")),
    ],
)
def test_titles_and_captions(properties: str, expected: tuple[Any, Any]) -> None:
    found = read_xmp(packet(properties))
    assert (found.title, found.caption) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_every_encoding_that_is_declared(encoding: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    content = (declaration + packet(bag("dc:subject", "Dänemark")).decode()).encode(encoding)
    assert read_xmp(content).keywords == ("Dänemark",)


NUMBERS = (
    "exif_GPSLatitude", "exif_GPSLongitude", "exif_GPSAltitude", "xmp_Rating", "MicrosoftPhoto_Rating",
    "photoshop_DateCreated",
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(NUMBERS), st.text(alphabet="0123456789.,-+/eENSWinfa T:Z", max_size=24)))
def test_no_value_makes_reading_raise(attributes: dict[str, str]) -> None:
    found = read_xmp(packet(**attributes))
    latitude, longitude, _ = found.position
    assert latitude is None or (-90 <= latitude <= 90 and longitude is not None and -180 <= longitude <= 180)
    assert found.rating is None or -1 <= found.rating <= 5
