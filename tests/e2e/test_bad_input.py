"""Wrong input of every kind: one line on stderr, the exit status, no traceback, no lost data."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import mostly_long
from tests.e2e.conftest import Run

DONE, ERROR, USAGE = 0, 1, 2


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, size=(6, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC).save(path)
    return path


def png_bomb(path: Path, side: int = 30_000) -> Path:
    """A small file that unpacks to a picture of `side` × `side` pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    row = bytes(1 + side * 3)
    packed = b"".join(packer.compress(row) for _ in range(200)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> tuple[Path, Path]:
    """A folder with three pictures, and a library of them; tests work on copies of the library."""
    import subprocess

    place = tmp_path_factory.mktemp("indexed")
    for seed in range(3):
        picture(place / "photos" / f"{seed}.jpg", seed)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "clipsearch",
            "--library",
            str(place / "library"),
            "index",
            str(place / "photos"),
            "--model",
            "mini",
        ],
        env=environment,
        check=True,
        capture_output=True,
    )
    return place / "photos", place / "library"


@pytest.fixture
def library(indexed: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(indexed[1], tmp_path / "library"))


def one_line(stderr: str, expected: str) -> None:
    """One line and no more, but for the word on how well the pictures match."""
    stderr = stderr.replace("nothing in this library clearly shows that; the closest:\n", "")
    assert "Traceback" not in stderr
    assert len(stderr.strip().splitlines()) == 1, stderr
    assert expected in stderr


WRONG_COMMANDS = [
    (("index", "{photos}/nowhere"), ERROR, "does not exist"),
    (("index", "{photos}/0.jpg"), ERROR, "is not a folder"),
    (("index", "{photos}", "--model", "no-such-model"), ERROR, "no-such-model"),
    (("search", ""), ERROR, "the query is empty"),
    (("search", "  "), ERROR, "the query is empty"),
    (("search", "a dog", "-k", "0"), USAGE, "at least 1"),
    (("search", "a dog", "-k", "many"), USAGE, "many"),
    (("similar", "{photos}/nowhere.jpg"), ERROR, "nowhere.jpg"),
    (("similar", "{photos}"), ERROR, "directory"),
    (("frobnicate",), USAGE, "frobnicate"),
    (("evaluate", "--model", "mini", "--captions", "{photos}/none.tsv", "--images", "{photos}"), ERROR, "none.tsv"),
]


@pytest.mark.parametrize(
    ("arguments", "status", "expected"), mostly_long(WRONG_COMMANDS, everyday=4), ids=lambda value: str(value)[:60]
)
def test_wrong_commands(
    run: Run, indexed: tuple[Path, Path], library: Path, arguments: tuple[str, ...], status: int, expected: str
) -> None:
    filled = [argument.format(photos=indexed[0]) for argument in arguments]
    done = run(*filled, library=library)
    assert done.returncode == status, done.stderr
    one_line(done.stderr, expected)
    assert done.stdout == ""
    assert run("search", "a dog", "--paths", library=library).stdout.count("\n") == 3


@pytest.mark.long
def test_an_unknown_model_for_a_new_library(run: Run, indexed: tuple[Path, Path], tmp_path: Path) -> None:
    for spec in ("ViT-B-99/openai", "ViT-B-32/nowhere", "local-dir:/nowhere", "bas"):
        done = run("index", str(indexed[0]), "--model", spec, library=tmp_path / "new")
        assert done.returncode == ERROR, done.stderr
        one_line(done.stderr, spec.removeprefix("local-dir:"))


def test_a_model_that_would_have_to_be_fetched_with_no_hub(
    run: Run, indexed: tuple[Path, Path], tmp_path: Path
) -> None:
    done = run("index", str(indexed[0]), "--model", "base", library=tmp_path / "new", timeout=30)
    assert done.returncode == ERROR, done.stderr
    one_line(done.stderr, "mini")


def test_searching_where_there_is_nothing(run: Run, tmp_path: Path) -> None:
    done = run("search", "a dog", library=tmp_path / "nowhere")
    assert done.returncode == ERROR
    one_line(done.stderr, "clipsearch index FOLDER")
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "empty").mkdir()
    assert run("index", str(tmp_path / "empty"), "--model", "mini").returncode == DONE
    done = run("search", "a dog")
    assert done.returncode == ERROR
    one_line(done.stderr, "no pictures yet")


def test_k_above_the_size_of_the_library(run: Run, library: Path) -> None:
    done = run("search", "a dog", "-k", "100000", "--paths", library=library)
    assert done.returncode == DONE
    assert done.stdout.count("\n") == 3


@pytest.mark.long
def test_bad_files_are_skipped_with_their_reasons(run: Run, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    good = picture(photos / "good.jpg")
    (photos / "text.jpg").write_text("this is no picture")
    (photos / "zero.png").write_bytes(b"")
    (photos / "truncated.jpg").write_bytes(good.read_bytes()[:900])
    png_bomb(photos / "bomb.png")
    expected = {
        "text.jpg": "not a picture",
        "zero.png": "the file is empty",
        "truncated.jpg": "damaged or truncated",
        "bomb.png": "too large",
    }
    if sys.platform == "linux":
        picture(photos / "x.jpg", 5).rename(photos / os.fsdecode(b"caf\xe9.jpg"))
    done = run("index", str(photos), "--model", "mini")
    assert done.returncode == DONE
    assert "Traceback" not in done.stderr
    for name, reason in expected.items():
        assert sum(f"{name}: {reason}" in line for line in done.stderr.splitlines()) == 1, done.stderr
    paths = run("search", "a picture", "--paths").stdout.splitlines()
    names = {Path(path).name for path in paths}
    assert names == {"good.jpg", os.fsdecode(b"caf\xe9.jpg")} if sys.platform == "linux" else {"good.jpg"}
    failures = run("failures")
    assert all(name in failures.stdout for name in expected)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions work otherwise there")
def test_an_unreadable_file(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "photos" / "good.jpg")
    # the tests may run as root, who may read everything; nobody can read from a link to itself
    (tmp_path / "photos" / "loop.jpg").symlink_to("loop.jpg")
    picture(tmp_path / "photos" / "locked.jpg", 2).chmod(0)
    done = run("index", str(tmp_path / "photos"), "--model", "mini")
    assert done.returncode == DONE
    assert "skipping" in done.stderr and "loop.jpg: too many levels of symbolic links" in done.stderr
    if os.geteuid():
        assert "locked.jpg: permission denied" in done.stderr


@pytest.mark.long
def test_a_library_of_a_newer_version(run: Run, library: Path) -> None:
    connection = sqlite3.connect(library / "catalog.sqlite3")
    connection.execute("UPDATE catalog_state SET schema_version = 9999")
    connection.commit()
    connection.close()
    for command in (("search", "a dog"), ("status",), ("index", str(library))):
        done = run(*command, library=library)
        assert done.returncode == ERROR
        one_line(done.stderr, "newer clipsearch")


@pytest.mark.long
def test_a_corrupt_vector_file_is_rebuilt_with_one_line(run: Run, library: Path) -> None:
    expected = run("search", "a dog", "--json", library=library).stdout
    (cache,) = (library / "vectors").iterdir()
    content = bytearray(cache.read_bytes())
    content[len(content) // 4] ^= 0xFF  # among the vectors, which are the most of it
    cache.write_bytes(content)
    done = run("search", "a dog", "--json", library=library)
    assert done.returncode == DONE
    one_line(done.stderr, "rebuilding it from the catalog")
    assert done.stdout == expected
    assert "cache" not in run("search", "a dog", "--json", library=library).stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_to_a_full_disk(library: Path, environment: dict[str, str]) -> None:
    import subprocess

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "clipsearch", "--library", str(library), "search", "a dog"],
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == ERROR
    one_line(done.stderr, "full")
