"""Alembic's migrations of trueup's tables."""
