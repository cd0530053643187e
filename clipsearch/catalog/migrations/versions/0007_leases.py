"""Several indexers at once: leases on files, jobs that expire; a library's own id; text compared byte by byte."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("catalog_state", sa.Column("library_id", sa.String(32), server_default="", nullable=False))
    op.execute(sa.update(sa.table("catalog_state", sa.column("library_id"))).values(library_id=uuid4().hex))
    op.add_column("jobs", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "leases",
        sa.Column("root_id", _row_id, nullable=False),
        sa.Column("relative_path", sa.Text(), nullable=False),
        sa.Column("job_id", _row_id, nullable=False),
        sa.PrimaryKeyConstraint("root_id", "relative_path", name="pk_leases"),
        sa.ForeignKeyConstraint(["root_id"], ["roots.id"], name="fk_leases_root_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_leases_job_id", ondelete="CASCADE"),
    )
    op.create_index("ix_leases_job_id", "leases", ["job_id"])
    if op.get_bind().dialect.name == "postgresql":
        _compare_byte_by_byte()


def _compare_byte_by_byte() -> None:
    """Every text column, whatever the database's collation: so that paths have one order everywhere."""
    texts = sa.text(
        "SELECT table_name, column_name, character_maximum_length FROM information_schema.columns "
        "WHERE table_schema = current_schema() AND table_name <> 'alembic_version' "
        "AND data_type IN ('text', 'character varying')"
    )
    for table, column, length in op.get_bind().execute(texts).all():
        kind = sa.Text(collation="C") if length is None else sa.String(length, collation="C")
        op.alter_column(table, column, type_=kind)
