"""Tags: those that models give, what a person has said of them, and how far each model has come."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "image_tags",
        sa.Column("content_hash", sa.String(length=32), nullable=False),
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["content_hash"], ["images.content_hash"], name="fk_image_tags_content_hash"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_image_tags_model_id"),
        sa.PrimaryKeyConstraint("content_hash", "model_id", "tag", name="pk_image_tags"),
    )
    op.create_index("ix_image_tags_tag", "image_tags", ["tag"])
    op.create_table(
        "tag_decisions",
        sa.Column("content_hash", sa.String(length=32), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("present", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("content_hash", "tag", name="pk_tag_decisions"),
    )
    op.create_index("ix_tag_decisions_tag", "tag_decisions", ["tag"])
    op.create_table(
        "tag_states",
        sa.Column("model_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("vocabulary", sa.Text(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("embedding_id", sa.BigInteger(), nullable=False),
        sa.Column("pictures", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_tag_states_model_id"),
        sa.PrimaryKeyConstraint("model_id", name="pk_tag_states"),
    )
