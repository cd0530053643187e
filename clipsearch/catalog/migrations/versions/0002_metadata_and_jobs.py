"""What pictures say of themselves and look like, where roots are on their drives, and jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("roots", sa.Column("volume_path", sa.Text(), nullable=True))
    op.add_column("images", sa.Column("metadata_version", sa.Integer(), server_default="0", nullable=False))
    for name, kind in (
        ("taken_at", sa.DateTime()),
        ("taken_offset_min", sa.Integer()),
        ("camera", sa.Text()),
        ("lens", sa.Text()),
        ("focal_length_mm", sa.Float()),
        ("focal_length_35mm", sa.Float()),
        ("f_number", sa.Float()),
        ("exposure_s", sa.Float()),
        ("iso", sa.Integer()),
        ("latitude", sa.Float()),
        ("longitude", sa.Float()),
        ("altitude_m", sa.Float()),
        ("orientation", sa.Integer()),
        ("title", sa.Text()),
        ("caption", sa.Text()),
        ("rating", sa.Integer()),
        ("fingerprint", sa.LargeBinary()),
    ):
        op.add_column("images", sa.Column(name, kind, nullable=True))
    op.add_column("embeddings", sa.Column("from_preview", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "image_keywords",
        sa.Column("content_hash", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("keyword", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("content_hash", "position", name="pk_image_keywords"),
        sa.ForeignKeyConstraint(["content_hash"], ["images.content_hash"], name="fk_image_keywords_content_hash"),
    )
    op.create_index("ix_image_keywords_keyword", "image_keywords", ["keyword"])
    op.create_table(
        "jobs",
        sa.Column("id", _row_id, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("started_at", _moment, nullable=False),
        sa.Column("finished_at", _moment, nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
