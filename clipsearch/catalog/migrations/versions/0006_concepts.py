"""Named concepts: their examples, and what each model makes of them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "concepts",
        sa.Column("id", row_id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_concepts"),
        sa.UniqueConstraint("name", name="uq_concepts_name"),
    )
    op.create_table(
        "concept_examples",
        sa.Column("concept_id", row_id, nullable=False),
        sa.Column("content_hash", sa.String(32), nullable=False),
        sa.Column("positive", sa.Boolean(), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("preview", sa.LargeBinary(), nullable=True),
        sa.Column("model_id", row_id, nullable=True),
        sa.Column("vector", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["concept_id"], ["concepts.id"], name="fk_concept_examples_concept_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_concept_examples_model_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("concept_id", "content_hash", name="pk_concept_examples"),
    )
    op.create_table(
        "concept_fits",
        sa.Column("concept_id", row_id, nullable=False),
        sa.Column("model_id", row_id, nullable=False),
        sa.Column("direction", sa.LargeBinary(), nullable=False),
        sa.Column("scale", sa.Float(), nullable=False),
        sa.Column("intercept", sa.Float(), nullable=False),
        sa.Column("text_share", sa.Float(), nullable=False),
        sa.Column("regularisation", sa.Float(), nullable=False),
        sa.Column("positives", sa.Integer(), nullable=False),
        sa.Column("negatives", sa.Integer(), nullable=False),
        sa.Column("drawn", sa.Integer(), nullable=False),
        sa.Column("fitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["concept_id"], ["concepts.id"], name="fk_concept_fits_concept_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_concept_fits_model_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("concept_id", "model_id", name="pk_concept_fits"),
    )
