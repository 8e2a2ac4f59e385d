"""Desks of others, plans made at the desk, accounts of a foreign sign-in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "desk_plans",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("conversation", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("decision", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("proposed_by", sa.String(length=128), nullable=False),
        sa.Column("approved_by", sa.String(length=128), nullable=True),
        sa.Column("consent", sa.String(length=64), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("receipt", sa.String(length=128), nullable=True),
        sa.Column("why", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_plans")),
        if_not_exists=True,
    )
    op.create_index(
        "ix_desk_plans_conversation",
        "desk_plans",
        ["conversation", "created_at"],
        unique=False,
        if_not_exists=True,
    )
    op.create_table(
        "desk_seen",
        sa.Column("desk", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk", "key", name=op.f("pk_desk_seen")),
        if_not_exists=True,
    )
    op.create_index("ix_desk_seen_at", "desk_seen", ["at"], unique=False, if_not_exists=True)
    op.create_table(
        "desk_threads",
        sa.Column("desk", sa.String(length=32), nullable=False),
        sa.Column("conversation", sa.String(length=64), nullable=False),
        sa.Column("ref", sa.String(length=128), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("agent", sa.String(length=128), nullable=True),
        sa.Column("agent_ref", sa.String(length=128), nullable=True),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("desk", "conversation", name=op.f("pk_desk_threads")),
        if_not_exists=True,
    )
    op.create_index("ix_desk_threads_ref", "desk_threads", ["desk", "ref"], unique=False, if_not_exists=True)
    known = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("desk_users")}
    if "subject" not in known:  # a program may have made the table without the revisions
        with op.batch_alter_table("desk_users", schema=None) as batch_op:
            batch_op.add_column(sa.Column("subject", sa.String(length=255), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("desk_users", schema=None) as batch_op:
        batch_op.drop_column("subject")
    op.drop_table("desk_threads")
    op.drop_table("desk_seen")
    op.drop_table("desk_plans")
