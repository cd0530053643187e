"""No number that a file system, a picture or a file beside it can bring stops a run or becomes a date or a place."""

from __future__ import annotations

import contextlib
import io
import json
import os
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from clipsearch.library import Library
from clipsearch.media.metadata.dates import FIRST_PHOTOGRAPH
from tests.conftest import ColourEncoder

FILES = 50
RUNS = 10

_ABSURD = (
    0, -1, 1, 60, 61, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, -(10**30), 10**400,
    1e308, -1e308, 1e-308, float("inf"), float("-inf"), float("nan"), -0.0,
)  # fmt: skip
_NUMBERS = st.sampled_from(_ABSURD) | st.integers() | st.floats()
_ABSURD_DATES = (
    "0000:00:00 00:00:00", "9999:99:99 99:99:99", "1970:01:01 00:00:00", "2021:02:31 12:00:00", "2019:07", "",
    "  :  :", "99999:01:01 00:00:00", "2016:12:31 23:59:60", "-001:01:01 00:00:00", "2150:01:01 00:00:00",
)  # fmt: skip
_DATES = st.sampled_from(_ABSURD_DATES) | st.text(alphabet="0123456789: -TZ+", max_size=25)
_KINDS = st.sampled_from(
    ["mtime", "exif date", "exif number", "exif gps", "xmp", "sidecar", "iptc", "takeout", "content"]
)


def _picture(number: int, **options: Any) -> bytes:
    out = io.BytesIO()
    image = Image.new("RGB", (16 + number % 7, 12), (number * 5 % 256, number % 256, 90))
    image.save(out, "JPEG", **options)
    return out.getvalue()


def _rational(value: float) -> TiffImagePlugin.IFDRational:
    number = int(value) if abs(value) < 2**40 else 2**32 - 1  # infinite and NaN too
    return TiffImagePlugin.IFDRational(abs(number) % 2**32, (abs(number) * 7) % 3)


def _exif(kind: str, number: float, text: str) -> bytes:
    tags = Image.Exif()
    if kind == "exif date":
        tags.get_ifd(0x8769).update({0x9003: text, 0x9004: text[::-1], 0x9011: text[-6:]})
    elif kind == "exif gps":
        value = _rational(number)
        tags.get_ifd(0x8825).update(
            {1: "N", 2: (value,) * 3, 3: "E", 4: (value, value), 6: value, 7: (value,) * 3, 0x1D: text}
        )
    else:
        value = _rational(number)
        tags.get_ifd(0x8769).update({0x829A: value, 0x829D: value, 0x920A: value, 0x9201: value, 0x9202: value})
    return tags.tobytes()


def _xmp(number: float, text: str) -> bytes:
    values = "".join(f' exif:{name}="{number}"' for name in ("GPSLatitude", "GPSLongitude", "GPSAltitude"))
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
        f'xmp:Rating="{number}" exif:DateTimeOriginal="{text}"{values}/></rdf:RDF></x:xmpmeta>'
    ).encode()


def _iptc(text: str) -> bytes:
    value = text.encode()
    records = b"".join(struct.pack(">BBBH", 0x1C, 2, part, len(value)) + value for part in (55, 60, 62, 63))
    resource = b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(records)) + records + b"\0" * (len(records) % 2)
    body = b"Photoshop 3.0\0" + resource
    return struct.pack(">BBH", 0xFF, 0xED, len(body) + 2) + body


def _write(folder: Path, number: int, kind: str, value: float, text: str) -> None:
    path = folder / f"{number:03}.jpg"
    if kind.startswith("exif"):
        path.write_bytes(_picture(number, exif=_exif(kind, value, text)))
    elif kind == "xmp":
        path.write_bytes(_picture(number, xmp=_xmp(value, text)))
    elif kind == "iptc":
        content = _picture(number)
        path.write_bytes(content[:2] + _iptc(text) + content[2:])
    elif kind == "content":  # a size in the header that is no size
        size = struct.pack(">HH", abs(hash(value)) % 2**16, abs(hash(text)) % 2**16)
        path.write_bytes(_picture(number).replace(struct.pack(">HH", 12, 16 + number % 7), size, 1))
    else:
        path.write_bytes(_picture(number))
    if kind == "sidecar":
        path.with_suffix(".xmp").write_bytes(_xmp(value, text))
    if kind == "takeout":
        place = {"latitude": value, "longitude": value, "altitude": value}
        facts = {"photoTakenTime": {"timestamp": value if number % 2 else str(value)}, "geoData": place}
        Path(f"{path}.json").write_text(json.dumps(facts))
    if kind == "mtime":
        with contextlib.suppress(OverflowError, OSError, ValueError):  # what even the file system refuses
            os.utime(path, ns=(0, int(value) * 10**9))


@pytest.mark.long
@settings(max_examples=RUNS, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(_KINDS, _NUMBERS, _DATES), min_size=FILES, max_size=FILES))
def test_every_file_is_indexed_or_failed_with_its_reason(
    tmp_path_factory: pytest.TempPathFactory, oddities: list[tuple[str, float, str]]
) -> None:
    folder = tmp_path_factory.mktemp("absurd")
    for number, oddity in enumerate(oddities):
        _write(folder, number, *oddity)
    with Library.open(tmp_path_factory.mktemp("library"), create=True, encoder=ColourEncoder()) as library:  # type: ignore[arg-type]
        report = library.index(folder)
        assert report.indexed + len(report.failures) == FILES
        assert all(failure.reason and "\n" not in failure.reason for failure in report.failures)
        latest = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=2)
        for result in library.search("path:*", k=FILES):
            details = library.browse.picture(result.content_hash)
            found = details.metadata
            assert found.taken_at is None or (found.taken_at.year >= FIRST_PHOTOGRAPH and found.taken_at < latest)
            assert found.latitude is None or (-90 <= found.latitude <= 90 and found.longitude is not None)
            assert found.rating is None or -1 <= found.rating <= 5
        again = library.index(folder)
        assert (again.indexed, again.sidecars, again.unchanged) == (0, 0, report.indexed)


@pytest.mark.parametrize("seconds", [10_413_792_000, 2**40, 2**62, -(2**40), -11_644_473_600, 253_402_300_800])
def test_a_time_of_last_change_that_no_date_can_hold_is_unknown(library: Library, tmp_path: Path, seconds: int) -> None:
    path = tmp_path / "pictures" / "a.jpg"
    path.parent.mkdir()
    path.write_bytes(_picture(1))
    try:
        os.utime(path, (seconds, seconds))
    except (OverflowError, OSError):
        pytest.skip("this file system cannot hold it")
    if int(path.stat().st_mtime) != seconds:
        pytest.skip("this file system cannot hold it")
    assert library.index(path.parent).embedded == 1
    (result,) = library.search("path:*", k=2)
    assert library.browse.picture(result.content_hash).files[0].modified_at is None
    assert library.index(path.parent).unchanged == 1
    os.utime(path, (seconds + 1, seconds + 1))
    assert library.index(path.parent).reused == 1


_MVHD_FIELDS = {"creation": 4, "timescale": 12, "duration": 16, "rate": 20}
"""Where a version 0 movie header has its numbers, from its version on (ISO/IEC 14496-12, 8.2.2)."""


@pytest.mark.long
@pytest.mark.parametrize("number", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_video_with_an_absurd_number_is_indexed_or_failed_with_its_reason(
    library: Library, tmp_path: Path, number: int
) -> None:
    pytest.importorskip("av")
    from tests.videos import write_video

    folder = tmp_path / "videos"
    folder.mkdir()
    tags = {"creation_time": str(number), "location": f"+{number}.5-{number}/", "date": f"{number}-01-01T00:00:00Z"}
    whole = write_video(folder / "whole.mp4", (("red", 1.0),), metadata=tags).read_bytes()
    header = whole.index(b"mvhd") + 4
    for name, place in _MVHD_FIELDS.items():
        patched = whole[: header + place] + struct.pack(">I", number) + whole[header + place + 4 :]
        (folder / f"{name}.mp4").write_bytes(patched)
    report = library.index(folder)
    assert report.indexed + len(report.failures) == 1 + len(_MVHD_FIELDS)
    assert all(failure.reason and "\n" not in failure.reason for failure in report.failures)
    for result in library.search("path:*", k=9):
        metadata = library.browse.picture(result.content_hash).metadata
        assert metadata.taken_at is None or metadata.taken_at.year >= FIRST_PHOTOGRAPH
        assert metadata.latitude is None or -90 <= metadata.latitude <= 90
        assert result.duration_s is None or 0 < result.duration_s < 10**7
