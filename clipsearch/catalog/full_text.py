"""Full-text search over names, folders, metadata and the text in pictures, in any database, without SQLAlchemy.

Terms and texts are in `clipsearch.text.search_form`, and a term is found anywhere, also inside of words: what counts as
a word is for `clipsearch.retrieval.hybrid` to say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from clipsearch.catalog.chunks import chunks
from clipsearch.media.segments import WHOLE_KINDS, Segment, SegmentKind

TEXT_KINDS = ("text", "title", "caption", "keyword", "name", "folder", "place", "camera")
"""Kinds of text that are searched; columns of `clipsearch.catalog.tables.TextDocument`."""

RowReader: TypeAlias = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Returns the rows of a statement with values in the driver's own syntax."""


class FoundText(NamedTuple):
    """A content with a term in its texts.

    Attributes:
        embedding_id: of the whole picture, by one model.
        texts: in search form, in the order of `TEXT_KINDS`.
    """

    embedding_id: int
    texts: tuple[str, ...]


class OcrLine(NamedTuple):
    """A line of text that was read in a picture.

    Attributes:
        segment: of the content.
        text: as it was read.
        confidence: 0 to 1.
        script: that most of its letters are of, for example ``latin`` or ``cjk``; empty without letters.
        box: x, y, width and height in pixels of the upright segment.
    """

    segment: Segment
    text: str
    confidence: float
    script: str
    box: tuple[int, int, int, int]


class OriginalTexts(NamedTuple):
    """The texts of a content as they were written; names of its place in search form, each between line breaks."""

    title: str | None
    caption: str | None
    camera: str | None
    place_names: str
    keywords: tuple[str, ...]
    lines: tuple[OcrLine, ...]


class FullText(ABC):
    """Full-text search in one catalog. Thread-safe."""

    placeholder: str
    """For a value in a statement of the driver."""

    join = "JOIN"
    """How tables are joined, the first one leading."""

    def __init__(self, rows: RowReader) -> None:
        """Bind what reads rows."""
        self._rows = rows

    @abstractmethod
    def _source(self, term: str) -> tuple[str, str, str, list[str]]:
        """Where a term is looked for: the table, its column with the row of `text_documents`, condition and values."""

    def ids(self, term: str, *, at_most: int) -> list[int]:
        """Rows of `text_documents` that have a term, at most so many."""
        table, row_id, condition, values = self._source(term)
        return [
            row[0] for row in self._rows(f"SELECT {row_id} FROM {table} WHERE {condition} LIMIT {at_most:d}", values)
        ]

    def documents(self, ids: Sequence[int], *, model_id: int) -> list[FoundText]:
        """The texts of rows of `text_documents`, of those contents that a model has embedded."""
        columns = ", ".join(f"d.{kind}" for kind in TEXT_KINDS)
        wholes = ", ".join(f"'{kind}'" for kind in WHOLE_KINDS)
        of_model = f"e.model_id = {model_id:d} AND e.kind IN ({wholes})"
        joined = f"text_documents d {self.join} embeddings e ON e.content_hash = d.content_hash"
        documents: list[FoundText] = []
        for chunk in chunks(ids):
            among = ", ".join(map(str, map(int, chunk)))
            statement = f"SELECT e.id, {columns} FROM {joined} WHERE d.id IN ({among}) AND {of_model}"
            documents += [FoundText(row[0], tuple(row[1:])) for row in self._rows(statement, ())]
        return documents

    def originals(self, content_hashes: Sequence[str]) -> dict[str, OriginalTexts]:
        """The texts of contents, by hash."""
        texts: dict[str, OriginalTexts] = {}
        for chunk in chunks(content_hashes):
            among = f"IN ({', '.join([self.placeholder] * len(chunk))})"
            keywords: dict[str, list[str]] = {}
            statement = f"SELECT content_hash, keyword FROM content_keywords WHERE content_hash {among}"
            for content_hash, keyword in self._rows(f"{statement} ORDER BY content_hash, position", chunk):
                keywords.setdefault(content_hash, []).append(keyword)
            lines = self._lines(among, chunk)
            columns = "c.content_hash, c.title, c.caption, c.camera, d.place"
            joined = "contents c JOIN text_documents d ON d.content_hash = c.content_hash"
            statement = f"SELECT {columns} FROM {joined} WHERE c.content_hash {among}"
            for content_hash, title, caption, camera, names in self._rows(statement, chunk):
                of_content = tuple(keywords.get(content_hash, ())), tuple(lines.get(content_hash, ()))
                texts[content_hash] = OriginalTexts(title, caption, camera, names, *of_content)
        return texts

    def _lines(self, among: str, content_hashes: Sequence[str]) -> dict[str, list[OcrLine]]:
        lines: dict[str, list[OcrLine]] = {}
        columns = "content_hash, kind, position, text, confidence, script, x, y, width, height"
        selected = f"SELECT {columns} FROM text_lines WHERE content_hash {among}"
        statement = f"{selected} ORDER BY content_hash, kind, position, line"
        for content_hash, kind, position, text, confidence, script, *box in self._rows(statement, content_hashes):
            segment = Segment(SegmentKind(kind), position)
            line = OcrLine(segment, text, confidence, script, (box[0], box[1], box[2], box[3]))
            lines.setdefault(content_hash, []).append(line)
        return lines
