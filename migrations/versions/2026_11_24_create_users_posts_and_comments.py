"""Create users, posts and comments."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "a446240c8d92"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(30), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("username = lower(username) AND username <> ''", name=op.f("ck_users_username")),
        sa.CheckConstraint("email <> ''", name=op.f("ck_users_email")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "posts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("url", sa.String(2000)),
        sa.Column("body", sa.Text()),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("comment_count", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("title <> ''", name=op.f("ck_posts_title")),
        sa.CheckConstraint("url IS NOT NULL OR body IS NOT NULL", name=op.f("ck_posts_url_or_body")),
        sa.CheckConstraint("comment_count >= 0", name=op.f("ck_posts_comment_count")),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], op.f("fk_posts_author_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posts")),
    )
    op.create_index(op.f("ix_posts_score_id"), "posts", ["score", "id"])
    op.create_index(op.f("ix_posts_author_id_created_at"), "posts", ["author_id", "created_at"])
    op.create_index(op.f("ix_posts_created_at"), "posts", ["created_at"])
    op.create_table(
        "comments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("body <> ''", name=op.f("ck_comments_body")),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], op.f("fk_comments_post_id_posts"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], op.f("fk_comments_author_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_index(op.f("ix_comments_post_id_created_at"), "comments", ["post_id", "created_at"])
    op.create_index(op.f("ix_comments_author_id"), "comments", ["author_id"])
    op.create_index(op.f("ix_comments_created_at"), "comments", ["created_at"])


def downgrade() -> None:
    for table in ("comments", "posts", "users"):
        op.drop_table(table)
