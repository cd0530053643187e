"""The first catalog: roots, files, images, embeddings, models, failures and the revision."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "models",
        sa.Column("id", _row_id, nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.Column("precision", sa.String(64), nullable=False),
        sa.Column("added_at", _moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("spec", "fingerprint", name="uq_models_spec_fingerprint"),
    )
    op.create_table(
        "catalog_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("active_model_id", _row_id, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_catalog_state"),
        sa.ForeignKeyConstraint(["active_model_id"], ["models.id"], name="fk_catalog_state_active_model_id"),
    )
    op.create_table(
        "roots",
        sa.Column("id", _row_id, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("volume_id", sa.Text(), nullable=True),
        sa.Column("added_at", _moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_roots"),
        sa.UniqueConstraint("path", name="uq_roots_path"),
    )
    op.create_table(
        "images",
        sa.Column("content_hash", sa.String(32), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("content_hash", name="pk_images"),
    )
    op.create_table(
        "files",
        sa.Column("id", _row_id, nullable=False),
        sa.Column("root_id", _row_id, nullable=False),
        sa.Column("relative_path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
        sa.ForeignKeyConstraint(["root_id"], ["roots.id"], name="fk_files_root_id"),
        sa.ForeignKeyConstraint(["content_hash"], ["images.content_hash"], name="fk_files_content_hash"),
        sa.UniqueConstraint("root_id", "relative_path", name="uq_files_root_id_relative_path"),
    )
    op.create_index("ix_files_content_hash", "files", ["content_hash"])
    op.create_table(
        "embeddings",
        sa.Column("id", _row_id, nullable=False),
        sa.Column("content_hash", sa.String(32), nullable=False),
        sa.Column("model_id", _row_id, nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_embeddings"),
        sa.ForeignKeyConstraint(["content_hash"], ["images.content_hash"], name="fk_embeddings_content_hash"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_embeddings_model_id"),
        sa.UniqueConstraint("content_hash", "model_id", name="uq_embeddings_content_hash_model_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_embeddings_model_id", "embeddings", ["model_id"])
    op.create_table(
        "failures",
        sa.Column("id", _row_id, nullable=False),
        sa.Column("root_id", _row_id, nullable=False),
        sa.Column("relative_path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("failed_at", _moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_failures"),
        sa.ForeignKeyConstraint(["root_id"], ["roots.id"], name="fk_failures_root_id"),
        sa.UniqueConstraint("root_id", "relative_path", name="uq_failures_root_id_relative_path"),
    )
    op.execute("INSERT INTO catalog_state (id, revision) VALUES (1, 0)")
