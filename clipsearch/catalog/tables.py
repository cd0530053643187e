"""The catalog's tables. Every change here needs another `clipsearch.catalog.schema.SCHEMA_VERSION`."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    and_,
    false,
    insert,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from clipsearch.catalog.path_text import path_to_text, text_to_path
from clipsearch.catalog.schema import SCHEMA_VERSION

HASH_LENGTH = 32
"""Hex digits of a content hash (XXH3, 128 bits)."""


def _text(length: int | None = None) -> TypeEngine[str]:
    """A column of text that is compared byte by byte, whatever the database's collation: paths have one order."""
    kind = Text if length is None else lambda **options: String(length, **options)
    return kind().with_variant(kind(collation="C"), "postgresql")


_RowId = BigInteger().with_variant(Integer(), "sqlite")  # SQLite gives row ids to INTEGER keys only


class PathText(TypeDecorator[str]):
    """A path as text, also where its name is not UTF-8; see `clipsearch.catalog.path_text`."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Text that is compared byte by byte."""
        return dialect.type_descriptor(Text(collation="C") if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """From Python to the database."""
        return value if value is None else path_to_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """From the database to Python."""
        return value if value is None else text_to_path(value)


class Base(DeclarativeBase):
    """Base of the catalog's tables; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def _now() -> datetime:
    return datetime.now(UTC)


class Model(Base):
    """A model that has filled, or is filling, an embedding space of this library."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("spec", "fingerprint"),)

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    spec: Mapped[str] = mapped_column(_text())
    fingerprint: Mapped[str] = mapped_column(_text(64))
    dim: Mapped[int] = mapped_column(Integer)
    precision: Mapped[str] = mapped_column(_text(64))
    parity_cosine: Mapped[float | None] = mapped_column(Float)
    """See `clipsearch.models.parity.Parity`; with `parity_overlap`, both ``None`` where nothing was rounded."""
    parity_overlap: Mapped[float | None] = mapped_column(Float)
    pooling: Mapped[str] = mapped_column(_text(64), server_default="mean")
    """What made its whole-video embeddings: `clipsearch.models.video_heads.VideoHeadsSpec.pooling_id`."""
    added_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class CatalogState(Base):
    """The one row that says where the catalog stands."""

    __tablename__ = "catalog_state"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger, default=0)
    """Rises by one with each commit that changes which embeddings have files."""
    active_model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"))
    library_id: Mapped[str] = mapped_column(_text(32))
    """Hex digits, drawn when the catalog was made: distinguishes it from another one in the same place."""
    schema_version: Mapped[int] = mapped_column(Integer)
    """`clipsearch.catalog.schema.SCHEMA_VERSION` of whoever made the tables."""


class Root(Base):
    """A folder that was given to be indexed."""

    __tablename__ = "roots"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    path: Mapped[str] = mapped_column(PathText, unique=True)
    volume_id: Mapped[str | None] = mapped_column(_text())
    """Identity of the file system it is on; ``None`` where the system does not tell."""
    volume_path: Mapped[str | None] = mapped_column(PathText)
    """Where it is on that file system: from the mount point, parts joined by ``/``; with `volume_id` only."""
    default_exclusions: Mapped[bool] = mapped_column(Boolean(create_constraint=False), server_default=true())
    """Whether private folders of other programs are excluded; see `indexer.exclusions`."""
    added_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class Exclusion(Base):
    """A gitignore pattern of what is not indexed; later ones win over earlier ones."""

    __tablename__ = "exclusions"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    root_id: Mapped[int | None] = mapped_column(ForeignKey("roots.id", ondelete="CASCADE"), index=True)
    """``None`` for a pattern of every folder of the library."""
    pattern: Mapped[str] = mapped_column(PathText)


class Content(Base):
    """What is known of a content, however many files hold it."""

    __tablename__ = "contents"

    content_hash: Mapped[str] = mapped_column(_text(HASH_LENGTH), primary_key=True)
    width: Mapped[int | None] = mapped_column(Integer)
    """After EXIF rotation, in pixels; with `height` ``None`` where the medium has no size of its own."""
    height: Mapped[int | None] = mapped_column(Integer)
    format: Mapped[str] = mapped_column(_text(16))
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)
    """Of a video; ``None`` for a picture."""
    frame_rate: Mapped[float | None] = mapped_column(Float)
    codec: Mapped[str | None] = mapped_column(_text(16))
    metadata_version: Mapped[int] = mapped_column(Integer, server_default="0")
    """Which `METADATA_VERSION` read what follows; contents of an older one are read again when next indexed."""
    taken_at: Mapped[datetime | None] = mapped_column(DateTime)
    """On the camera's clock, without a zone."""
    taken_offset_min: Mapped[int | None] = mapped_column(Integer)
    taken_precision: Mapped[str | None] = mapped_column(_text(16))
    """`clipsearch.media.metadata.values.Precision`; ``None`` where the day is known."""
    taken_source: Mapped[str | None] = mapped_column(_text(16))
    """Where the date comes from: `clipsearch.media.metadata.values.Source`."""
    camera: Mapped[str | None] = mapped_column(_text())
    lens: Mapped[str | None] = mapped_column(_text())
    focal_length_mm: Mapped[float | None] = mapped_column(Float)
    focal_length_35mm: Mapped[float | None] = mapped_column(Float)
    f_number: Mapped[float | None] = mapped_column(Float)
    exposure_s: Mapped[float | None] = mapped_column(Float)
    iso: Mapped[int | None] = mapped_column(Integer)
    latitude: Mapped[float | None] = mapped_column(Float)
    longitude: Mapped[float | None] = mapped_column(Float)
    altitude_m: Mapped[float | None] = mapped_column(Float)
    position_source: Mapped[str | None] = mapped_column(_text(16))
    orientation: Mapped[int | None] = mapped_column(Integer)
    title: Mapped[str | None] = mapped_column(_text())
    caption: Mapped[str | None] = mapped_column(_text())
    rating: Mapped[int | None] = mapped_column(Integer)
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What `clipsearch.media.perceptual_hash` sees of it, to know it again re-encoded, resized, cropped or turned."""
    embedded: Mapped[str | None] = mapped_column(_text())
    """Its own metadata as JSON where files beside it say something else; ``None`` where what is above is its own."""


class ContentKeyword(Base):
    """A keyword that somebody wrote into a picture."""

    __tablename__ = "content_keywords"

    content_hash: Mapped[str] = mapped_column(ForeignKey("contents.content_hash"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    keyword: Mapped[str] = mapped_column(_text(), index=True)


class TextLine(Base):
    """A line of text that was read in a picture; see `clipsearch.media.ocr`."""

    __tablename__ = "text_lines"

    content_hash: Mapped[str] = mapped_column(ForeignKey("contents.content_hash"), primary_key=True)
    kind: Mapped[str] = mapped_column(_text(8), primary_key=True)
    """Of the segment: `clipsearch.media.segments.SegmentKind`."""
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    """Which segment of that kind, from 0."""
    line: Mapped[int] = mapped_column(Integer, primary_key=True)
    """In reading order, from 0."""
    text: Mapped[str] = mapped_column(_text())
    confidence: Mapped[float] = mapped_column(Float)
    """0–1."""
    script: Mapped[str] = mapped_column(_text(16))
    """That most of its letters are of, for example ``latin`` or ``cjk``; empty without letters."""
    x: Mapped[int] = mapped_column(Integer)
    """Of the box around the line, in pixels of the upright segment, as `y`, `width` and `height`."""
    y: Mapped[int] = mapped_column(Integer)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)


class TextState(Base):
    """A content in which text was looked for, whether or not there was any."""

    __tablename__ = "text_states"

    content_hash: Mapped[str] = mapped_column(ForeignKey("contents.content_hash"), primary_key=True)
    reader: Mapped[str] = mapped_column(_text(64))
    """`clipsearch.media.ocr.READER` that looked; contents of another one are read again."""


class TextDocument(Base):
    """The words of a content that has files, in search form, for the full-text index.

    Derived from other tables by `clipsearch.catalog.text_documents`.
    """

    __tablename__ = "text_documents"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    content_hash: Mapped[str] = mapped_column(ForeignKey("contents.content_hash"), unique=True)
    text: Mapped[str] = mapped_column(_text())
    """The lines of `TextLine`; lines, files and keywords are separated by line breaks."""
    title: Mapped[str] = mapped_column(_text())
    caption: Mapped[str] = mapped_column(_text())
    keyword: Mapped[str] = mapped_column(_text())
    name: Mapped[str] = mapped_column(_text())
    """Names of its files, with extension."""
    folder: Mapped[str] = mapped_column(_text())
    """Folders of its files, from the root's name on."""
    place: Mapped[str] = mapped_column(_text())
    """Names of the place it was taken at, in many languages."""
    camera: Mapped[str] = mapped_column(_text())


class Place(Base):
    """The names of a place at which pictures were taken: `clipsearch.media.metadata.gazetteer.NamedPlace`."""

    __tablename__ = "places"

    id: Mapped[str] = mapped_column(_text(32), primary_key=True)
    label: Mapped[str] = mapped_column(_text())
    town: Mapped[str] = mapped_column(_text())
    region: Mapped[str] = mapped_column(_text())
    country: Mapped[str] = mapped_column(_text())
    names: Mapped[str] = mapped_column(_text())
    """In the form in which they are compared, each between line feeds."""


class ContentPlace(Base):
    """The place of a content's coordinates, as they were when it was named; it holds only for those."""

    __tablename__ = "content_places"

    content_hash: Mapped[str] = mapped_column(ForeignKey("contents.content_hash", ondelete="CASCADE"), primary_key=True)
    latitude: Mapped[float] = mapped_column(Float)
    longitude: Mapped[float] = mapped_column(Float)
    place_id: Mapped[str | None] = mapped_column(ForeignKey("places.id"), index=True)
    """``None`` where no town is near."""

    @classmethod
    def of_content(cls) -> ColumnElement[bool]:
        """The condition that joins it with `Content`: named for the coordinates of today."""
        return and_(
            cls.content_hash == Content.content_hash,
            cls.latitude == Content.latitude,
            cls.longitude == Content.longitude,
        )


class File(Base):
    """A file that holds a picture, as it was when last seen."""

    __tablename__ = "files"
    __table_args__ = (UniqueConstraint("root_id", "relative_path"),)

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    root_id: Mapped[int] = mapped_column(ForeignKey("roots.id"))
    relative_path: Mapped[str] = mapped_column(PathText)
    """From the root, parts joined by ``/`` on every system."""
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    content_hash: Mapped[str] = mapped_column(ForeignKey("contents.content_hash"), index=True)
    stack: Mapped[str | None] = mapped_column(PathText, index=True)
    """`clipsearch.media.stacks.stack_key` of its path."""
    sidecar_stamp: Mapped[str | None] = mapped_column(_text())
    """Another one for every other state of the files beside it; ``None`` without any."""
    sidecar: Mapped[str | None] = mapped_column(_text())
    """What those say of the picture, as JSON; `clipsearch.catalog.beside` makes it part of the content's metadata."""


class OtherFile(Base):
    """A file that is no picture that can be read, as it was when last seen: counted by kind, and not opened again."""

    __tablename__ = "other_files"
    __table_args__ = (UniqueConstraint("root_id", "relative_path"),)

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    root_id: Mapped[int] = mapped_column(ForeignKey("roots.id", ondelete="CASCADE"))
    relative_path: Mapped[str] = mapped_column(PathText)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(_text(16))
    """Of `clipsearch.media.formats`, for example ``psd``; empty for what is no picture, drawing, video or document."""
    stack: Mapped[str | None] = mapped_column(PathText, index=True)
    """See `File.stack`."""


class Embedding(Base):
    """A segment's place in a model's space; its id is its id in the vector index, and is never reused."""

    __tablename__ = "embeddings"
    __table_args__ = (UniqueConstraint("content_hash", "model_id", "kind", "position"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    content_hash: Mapped[str] = mapped_column(ForeignKey("contents.content_hash"))
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), index=True)
    kind: Mapped[str] = mapped_column(_text(8))
    """Of the segment: `clipsearch.media.segments.SegmentKind`."""
    position: Mapped[int] = mapped_column(BigInteger)
    """Which segment of that kind, from 0."""
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    """float16 [dim], little-endian, unit length."""
    from_preview: Mapped[bool] = mapped_column(Boolean(create_constraint=False), server_default=false())
    """Made from the thumbnail while the file's drive was not there; made again when it is."""


class Failure(Base):
    """A file that could not be read, as it was then; it is left alone until it changes."""

    __tablename__ = "failures"
    __table_args__ = (UniqueConstraint("root_id", "relative_path"),)

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    root_id: Mapped[int] = mapped_column(ForeignKey("roots.id"))
    relative_path: Mapped[str] = mapped_column(PathText)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(_text())
    failed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class Job(Base):
    """A long piece of work, so that the next run can tell that it was interrupted."""

    __tablename__ = "jobs"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    kind: Mapped[str] = mapped_column(_text(16))
    """``index`` or ``migrate``."""
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    done: Mapped[int] = mapped_column(BigInteger, default=0)
    """Files committed so far."""
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Until when its runner, who keeps putting it off, counts as alive; ``None`` where it dies with its lock."""


class Lease(Base):
    """A file that a job is at work on, where several may be: another takes it over when that job has expired."""

    __tablename__ = "leases"

    root_id: Mapped[int] = mapped_column(ForeignKey("roots.id", ondelete="CASCADE"), primary_key=True)
    relative_path: Mapped[str] = mapped_column(PathText, primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)


class SavedSearch(Base):
    """A search kept by name."""

    __tablename__ = "saved_searches"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    name: Mapped[str] = mapped_column(_text(), unique=True)
    line: Mapped[str] = mapped_column(_text())
    """The query's canonical line."""
    seen_embedding_id: Mapped[int] = mapped_column(BigInteger, default=0)
    """The newest embedding, of whatever model, when its new results were last looked at; 0 if there was none."""
    saved_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class Concept(Base):
    """Something that a person taught the library by examples, and named."""

    __tablename__ = "concepts"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    name: Mapped[str] = mapped_column(_text(), unique=True)
    text: Mapped[str | None] = mapped_column(_text())
    """What it is in words."""
    version: Mapped[int] = mapped_column(Integer, default=1)
    """Rises by one with each change of its examples."""
    added_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class ConceptExample(Base):
    """A content that shows a concept, or that does not; in the library or not."""

    __tablename__ = "concept_examples"

    concept_id: Mapped[int] = mapped_column(ForeignKey("concepts.id", ondelete="CASCADE"), primary_key=True)
    content_hash: Mapped[str] = mapped_column(_text(HASH_LENGTH), primary_key=True)
    positive: Mapped[bool] = mapped_column(Boolean(create_constraint=False))
    path: Mapped[str | None] = mapped_column(PathText)
    """Where a picture outside of the library was; with `preview`."""
    preview: Mapped[bytes | None] = mapped_column(LargeBinary)
    """A JPEG of it, for when another model has to embed it and the file is gone."""
    model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id", ondelete="SET NULL"))
    """Whose embedding `vector` is."""
    vector: Mapped[bytes | None] = mapped_column(LargeBinary)
    """float16 [dim], little-endian, unit length."""


class ConceptFit(Base):
    """What was fitted to a concept's examples in a model's space; see `clipsearch.labeling.concepts.fitting`."""

    __tablename__ = "concept_fits"

    concept_id: Mapped[int] = mapped_column(ForeignKey("concepts.id", ondelete="CASCADE"), primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    direction: Mapped[bytes] = mapped_column(LargeBinary)
    """float32 [dim], little-endian, unit length."""
    scale: Mapped[float] = mapped_column(Float)
    intercept: Mapped[float] = mapped_column(Float)
    text_share: Mapped[float] = mapped_column(Float)
    regularisation: Mapped[float] = mapped_column(Float)
    positives: Mapped[int] = mapped_column(Integer)
    negatives: Mapped[int] = mapped_column(Integer)
    drawn: Mapped[int] = mapped_column(Integer)
    fitted_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class ContentTag(Base):
    """A tag that a model gave a content."""

    __tablename__ = "content_tags"

    content_hash: Mapped[str] = mapped_column(ForeignKey("contents.content_hash"), primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(_text(), primary_key=True, index=True)
    score: Mapped[float] = mapped_column(Float)
    """The probability that it fits, 0–1 (`clipsearch.labeling.tagging`)."""


class TagDecision(Base):
    """What a person has said of a tag on a content: it wins over every model, and names no row that could go."""

    __tablename__ = "tag_decisions"

    content_hash: Mapped[str] = mapped_column(_text(HASH_LENGTH), primary_key=True)
    tag: Mapped[str] = mapped_column(_text(), primary_key=True, index=True)
    present: Mapped[bool] = mapped_column(Boolean(create_constraint=False))
    """Whether it fits; if not, no model gives it again."""
    decided_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=_now)


class TagState(Base):
    """How far a model's tags have come; without a row the model gives none."""

    __tablename__ = "tag_states"

    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), primary_key=True)
    vocabulary: Mapped[str | None] = mapped_column(_text())
    """The text of a person's own vocabulary; ``None`` for the one that is shipped."""
    digest: Mapped[str] = mapped_column(_text(64))
    """Of the words, the method and what was fitted: with another, everything is tagged anew."""
    embedding_id: Mapped[int] = mapped_column(BigInteger)
    """The newest embedding that was looked at."""
    pictures: Mapped[int] = mapped_column(BigInteger)
    """How many the library had when all of it was tagged."""


def create_tables(connection: Connection) -> None:
    """Make the tables in an empty database."""
    Base.metadata.create_all(connection)
    state = {"id": 1, "revision": 0, "library_id": uuid4().hex, "schema_version": SCHEMA_VERSION}
    connection.execute(insert(CatalogState).values(state))
