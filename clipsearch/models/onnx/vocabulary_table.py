"""The vocabulary of a tokenizer file as a table on disk, in which pieces are looked up one by one.

Reading a whole vocabulary takes 0.15 s for CLIP's 49,000 pieces and more than a second for 256,000; the pieces that may
occur in a query are a few hundred. The table is made once, in the cache.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

from clipsearch.config import cache_dir
from clipsearch.system import atomic
from clipsearch.text import first_line

logger = logging.getLogger(__name__)

UNKNOWN_TOKENS = ("[UNK]", "<unk>")

_FORMAT = 2
"""Of the table, a part of its name: another form is another file."""

_SCHEMA = """
CREATE TABLE file (content TEXT NOT NULL);
CREATE TABLE pieces (piece TEXT PRIMARY KEY, id INTEGER NOT NULL, score REAL) WITHOUT ROWID;
CREATE TABLE merges (
    result TEXT, rank INTEGER, first TEXT NOT NULL, second TEXT NOT NULL, PRIMARY KEY (result, rank)
) WITHOUT ROWID;
"""

_MOST_SPECIAL = 1000
"""Ids that are kept of a Unigram model whatever the text is; some have special tokens after all pieces."""

_AT_ONCE = 500
"""Pieces per question; SQLite of old allows 999."""


@dataclass(frozen=True)
class Piece:
    """A piece of a vocabulary; only Unigram models have scores."""

    text: str
    id: int
    score: float | None = None


class NeedsAllError(Exception):
    """The ids of a text depend on more than the pieces that occur in it, or might."""


class VocabularyTable:
    """The table of one tokenizer file, for any number of threads. Methods raise `sqlite3.Error` if it is damaged.

    Attributes:
        file: content of the tokenizer file, with a model that has neither pieces nor merges.
        longest: characters of the longest piece.
        always: pieces that are needed whatever the text is.
    """

    def __init__(self, path: Path) -> None:
        """Open a table.

        Raises:
            NeedsAllError: it says only that there can be none.
        """
        self._address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with self._connected() as connection:
            (content,) = connection.execute("SELECT content FROM file").fetchone()
        said = json.loads(content)
        if said is None:
            raise NeedsAllError
        self.file: Mapping[str, Any] = said["file"]
        self.longest: int = said["longest"]
        self.always: Sequence[str] = said["always"]

    def pieces(self, texts: Iterable[str]) -> list[Piece]:
        """Those of some texts that are pieces, by ascending id."""
        rows = self._rows("SELECT id, piece, score FROM pieces WHERE piece IN ({})", texts)
        return [Piece(text, number, score) for number, text, score in sorted(rows)]

    def merges(self, results: Iterable[str]) -> list[tuple[str, str]]:
        """The merges of a byte-pair encoding that result in some texts, in their order."""
        rows = self._rows("SELECT rank, first, second FROM merges WHERE result IN ({})", results)
        return [(first, second) for _, first, second in sorted(rows)]

    def _rows(self, question: str, texts: Iterable[str]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        left = iter(texts)
        with self._connected() as connection:
            while part := list(islice(left, _AT_ONCE)):
                rows += connection.execute(question.format(",".join("?" * len(part))), part)
        return rows

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._address, uri=True)) as connection:
            yield connection


def cached_table(path: Path, digest: str) -> VocabularyTable | None:
    """The table of a tokenizer file, made if it is missing.

    Args:
        path: of the file.
        digest: SHA-256 of its content.

    Returns:
        The table; ``None`` if the file's model is of a kind that needs all pieces, or if the cache cannot be used.

    Raises:
        OSError: the tokenizer file cannot be read.
        ValueError: it is damaged.
    """
    table = cache_dir() / "vocabularies" / f"{digest[:32]}-{_FORMAT}.sqlite3"
    if not table.is_file():
        content = json.loads(path.read_bytes())
        try:
            with atomic.replacing(table, durable=True) as target:
                _write(content, target.name)
        except (OSError, sqlite3.OperationalError) as error:  # a cache that cannot be written costs time, not results
            logger.info("the vocabulary of %s was not cached: %s", path, error)
            return None
    try:
        return VocabularyTable(table)
    except NeedsAllError:
        return None
    except (sqlite3.Error, ValueError, TypeError) as error:
        logger.info("%s is damaged and made again the next time: %s", table, first_line(error))
        with contextlib.suppress(OSError):
            table.unlink()
        return None


def _write(file: dict[str, Any], target: str) -> None:
    """Write the table of a tokenizer file; of one that needs all pieces, a table without them."""
    with contextlib.closing(sqlite3.connect(target)) as connection:
        connection.execute("PRAGMA journal_mode = MEMORY")  # the file is synced and gets its name when it is whole
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(_SCHEMA)
        try:
            pieces, merges = _pieces(file["model"]), _merges(file["model"])
            said = {
                "file": {**file, "model": {**file["model"], "vocab": [], "merges": []}},
                "longest": max(len(piece.text) for piece in pieces),
                "always": _always(file, pieces),
            }
            connection.executemany(
                "INSERT INTO pieces VALUES (?, ?, ?)", ((one.text, one.id, one.score) for one in pieces)
            )
            connection.executemany("INSERT INTO merges VALUES (?, ?, ?, ?)", merges)
        except (NeedsAllError, sqlite3.IntegrityError):
            connection.rollback()
            said = None
        connection.execute("INSERT INTO file VALUES (?)", [json.dumps(said)])
        connection.commit()


def _pieces(model: Mapping[str, Any]) -> list[Piece]:
    """All pieces of a model, by ascending id."""
    if model.get("type") == "Unigram":
        return [Piece(text, number, score) for number, (text, score) in enumerate(model["vocab"])]
    if model.get("type") in ("WordPiece", "BPE"):
        return sorted((Piece(*item) for item in model["vocab"].items()), key=attrgetter("id"))
    raise NeedsAllError


def _merges(model: Mapping[str, Any]) -> Iterator[tuple[str, int, str, str]]:
    """Result, rank and parts of the merges of a byte-pair encoding; none for other models."""
    for rank, merge in enumerate(model.get("merges", ())):
        first, second = merge.split(" ") if isinstance(merge, str) else merge
        yield first + second, rank, first, second


def _always(file: Mapping[str, Any], pieces: list[Piece]) -> list[str]:
    """The pieces that are needed whatever the text is."""
    model, known = file["model"], {piece.text for piece in pieces}
    added = [token["content"] for token in file["added_tokens"]]
    if not known.issuperset(added):
        raise NeedsAllError  # the ids of such tokens follow those of the model
    always = {*added, *known.intersection(UNKNOWN_TOKENS)}
    if model["type"] == "Unigram":
        if model["unk_id"] is None or model.get("byte_fallback"):
            raise NeedsAllError
        special = range(1 + max([model["unk_id"], *(token["id"] for token in file["added_tokens"])]))
        if len(special) > _MOST_SPECIAL:
            raise NeedsAllError
        # what no piece stands for is by a fixed step less probable than the least probable piece
        least = min(pieces, key=attrgetter("score"))
        always |= {least.text, *(pieces[number].text for number in special)}
    else:
        if model.get("dropout") or (model["type"] == "BPE" and model.get("continuing_subword_prefix")):
            raise NeedsAllError
        always |= known.intersection([model.get("unk_token") or "", *(f"<0x{byte:02X}>" for byte in range(256))])
    return sorted(always)
