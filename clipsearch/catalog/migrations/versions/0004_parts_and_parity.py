"""Embeddings of the parts of long pictures; how close a model's embeddings are to those of its unrounded weights."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SEQUENCE = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    of_table = _SEQUENCE.c.name == "embeddings"
    last = op.get_bind().execute(sa.select(_SEQUENCE.c.seq).where(of_table)).scalar() if is_sqlite else None
    with op.batch_alter_table("embeddings", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.add_column(sa.Column("part", sa.Integer(), server_default="0", nullable=False))
        table.drop_constraint("uq_embeddings_content_hash_model_id", type_="unique")
        table.create_unique_constraint("uq_embeddings_content_hash_model_id_part", ["content_hash", "model_id", "part"])
    op.add_column("models", sa.Column("parity_cosine", sa.Float(), nullable=True))
    op.add_column("models", sa.Column("parity_overlap", sa.Float(), nullable=True))
    if last is not None:  # a table made anew begins after its greatest id, where others may have been in use
        op.execute(sa.delete(_SEQUENCE).where(of_table))
        op.execute(sa.insert(_SEQUENCE).values(name="embeddings", seq=last))
