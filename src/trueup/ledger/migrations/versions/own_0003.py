"""An index of all runs by their time, so that the newest are listed and the oldest deleted without reading them all."""

from alembic import op
from sqlalchemy import inspect

revision = "own_0003"
down_revision = "own_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    found = inspect(op.get_bind())
    if not found.has_table("reconcile_runs"):
        return  # somebody dropped it; it is made anew with all of its indexes
    if not {"started_at", "run_id"} <= {column["name"] for column in found.get_columns("reconcile_runs")}:
        return  # it is somebody else's, which `init` refuses
    op.create_index("idx_reconcile_runs_started_at", "reconcile_runs", ["started_at", "run_id"])
