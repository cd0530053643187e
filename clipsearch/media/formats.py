"""What a file is, by its name or by its first bytes: a picture that can be read, another kind, or neither."""

from __future__ import annotations

import re

from clipsearch.media.raw import RAW_SUFFIXES

HEAD_BYTES = 64
"""Of a file's beginning, by which its format is recognized."""

PICTURE = "picture"
"""The kind of a picture that can be read."""

# fmt: off
IMAGE_SUFFIXES = RAW_SUFFIXES | {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif",
    ".tif", ".tiff", ".bmp", ".dib", ".heic", ".heif", ".hif", ".avif",
    ".jp2", ".j2k", ".j2c", ".jpf", ".jpx", ".pbm", ".pgm", ".ppm",
    ".pnm", ".tga", ".ico", ".icns", ".mpo",
}
"""Lower-case endings of the names of pictures."""

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv", ".flv", ".3gp",
        ".3g2", ".ogv", ".vob", ".mxf", ".asf", ".dv", ".mod", ".tod",
    }
)
"""Lower-case endings of the names of videos, which are read where the extra ``video`` is installed."""

VIDEO_KINDS = frozenset({"mkv", "mpg", "flv", "wmv", "avi", "mov", "mp4"})
"""What `kind_by_head` returns for videos."""

_UNREAD_SUFFIXES = VIDEO_SUFFIXES | frozenset(
    {
        # pictures and drawings
        ".psd", ".psb", ".xcf", ".kra", ".ora", ".clip", ".afphoto", ".afdesign", ".procreate", ".svg", ".svgz", ".ai",
        ".eps", ".ps", ".cdr", ".indd", ".wmf", ".emf", ".dxf", ".dwg", ".sketch", ".fig", ".jxl", ".jxr", ".wdp",
        ".hdp", ".jng", ".bpg", ".flif", ".exr", ".hdr", ".dds", ".pcx", ".sgi", ".xpm", ".xbm", ".djvu", ".fits",
        ".dcm", ".pict", ".lrv", ".insv", ".eip",
        # documents
        ".pdf", ".doc", ".docx", ".odt", ".ppt", ".pptx", ".odp", ".pages", ".key", ".epub",
    }
)
"""Lower-case endings of the names of files that are counted by kind: somebody may miss what is in them."""

_PASSED_OVER = frozenset(
    {
        # beside pictures: what programs note, and small previews of what stands beside them
        ".xmp", ".json", ".aae", ".pp3", ".dop", ".cos", ".cot", ".cop", ".comask", ".on1", ".thm", ".ctg", ".nksc",
        ".lrcat", ".lrprev", ".db", ".db3", ".sqlite", ".sqlite3", ".ini", ".plist", ".lnk", ".url", ".webloc", ".gpx",
        ".kml", ".kmz", ".srt", ".icc", ".icm", ".cube", ".xml", ".yaml", ".yml", ".toml", ".cfg", ".conf", ".lock",
        # texts and tables
        ".txt", ".md", ".rst", ".rtf", ".tex", ".log", ".csv", ".tsv", ".html", ".htm", ".mhtml", ".css", ".xls",
        ".xlsx", ".ods", ".parquet", ".npy", ".npz",
        # programs
        ".py", ".pyc", ".pyi", ".ipynb", ".js", ".mjs", ".ts", ".tsx", ".jsx", ".map", ".c", ".h", ".cc", ".cpp",
        ".hpp", ".cs", ".java", ".class", ".jar", ".go", ".rs", ".rb", ".php", ".pl", ".sh", ".bat", ".cmd", ".ps1",
        ".swift", ".kt", ".lua", ".sql", ".exe", ".dll", ".so", ".dylib", ".o", ".a", ".lib", ".wasm", ".msi", ".deb",
        ".rpm",
        # archives, sounds, fonts
        ".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar", ".iso", ".dmg", ".img", ".mp3", ".wav",
        ".flac", ".ogg", ".opus", ".m4a", ".aac", ".aiff", ".wma", ".mid", ".ttf", ".otf", ".woff", ".woff2",
        # not complete yet
        ".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp", ".temp", ".!ut", ".opdownload",
    }
)
"""Lower-case endings of the names of files that are neither opened nor counted."""
# fmt: on

_RAW_HEADS = (
    b"II*\0\x10\0\0\0CR",
    b"IIRO",
    b"IIRS",
    b"MMOR",
    b"IIU\0",
    b"FUJIFILMCCD-RAW",
    b"FOVb",
    b"II\x1a\0\0\0HEAPCCDR",
)

_HEADS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", PICTURE),
    (0, b"\x89PNG\r\n\x1a\n", PICTURE),
    (0, b"GIF87a", PICTURE),
    (0, b"GIF89a", PICTURE),
    (0, b"II*\0", PICTURE),
    (0, b"MM\0*", PICTURE),
    (0, b"II+\0", PICTURE),
    (0, b"MM\0+", PICTURE),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", PICTURE),
    (0, b"\xff\x4f\xff\x51", PICTURE),
    (0, b"icns", PICTURE),
    *((0, head, PICTURE) for head in _RAW_HEADS),
    (0, b"8BPS", "psd"),
    (0, b"gimp xcf", "xcf"),
    (0, b"\xff\x0a", "jxl"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (0, b"II\xbc", "jxr"),
    (0, b"BPG\xfb", "bpg"),
    (0, b"v/1\x01", "exr"),
    (0, b"#?RADIANCE", "hdr"),
    (0, b"DDS ", "dds"),
    (0, b"AT&TFORM", "djvu"),
    (0, b"SIMPLE  =", "fits"),
    (0, b"%PDF", "pdf"),
    (0, b"%!PS", "eps"),
    (0, b"\xc5\xd0\xd3\xc6", "eps"),
    (0, b"\x1a\x45\xdf\xa3", "mkv"),
    (0, b"\0\0\x01\xba", "mpg"),
    (0, b"\0\0\x01\xb3", "mpg"),
    (0, b"FLV\x01", "flv"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wmv"),
    (8, b"WEBP", PICTURE),
    (8, b"AVI ", "avi"),
    (4, b"moov", "mov"),
    (4, b"mdat", "mov"),
    (4, b"wide", "mov"),
)
"""Offset, bytes there, and the kind of what has them."""

_PICTURE_BRANDS = re.compile(rb"heic|heix|heim|heis|hevc|hevx|mif1|msf1|avif|avis|crx ")
"""Brands of ISO base media files (HEIF, AVIF, Canon's CR3) that are pictures."""

_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
"""Sizes of the second header of a BMP; its first two bytes alone begin many a text."""

_NETPBM = re.compile(rb"P[1-6]\s+(#|\d)")
_ICO = re.compile(rb"\x00\x00\x01\x00[\x01-\xff]\x00", re.DOTALL)
_SVG = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!DOCTYPE )?svg\b", re.DOTALL)


def kind_by_name(name: str) -> str | None:
    """What a file is by the ending of its name.

    Returns:
        `PICTURE`; the ending, without its dot, of what is counted and not read; empty for what is passed over; and
        ``None`` where only the first bytes tell.
    """
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    if suffix in IMAGE_SUFFIXES:
        return PICTURE
    if suffix in _UNREAD_SUFFIXES:
        return suffix[1:]
    return "" if suffix in _PASSED_OVER else None


def kind_by_head(head: bytes) -> str:
    """What a file is by its first `HEAD_BYTES`, or all of it: `PICTURE`, what is counted and not read, or empty."""
    if head[4:8] == b"ftyp":
        length = min(int.from_bytes(head[:4], "big"), len(head))
        if _PICTURE_BRANDS.search(head[8:length]):
            return PICTURE
        return "mov" if head[8:12] == b"qt  " else "mp4"
    for offset, wanted, kind in _HEADS:
        if head.startswith(wanted, offset) and (offset != 8 or head.startswith(b"RIFF")):
            return kind
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return PICTURE
    if _NETPBM.match(head) or _ICO.match(head):
        return PICTURE
    return "svg" if _SVG.match(head) else ""


def is_raw_head(head: bytes) -> bool:
    """Whether a file that begins so is a camera's RAW file that does not look like a TIFF."""
    return head.startswith(_RAW_HEADS) or head[4:12] == b"ftypcrx "
