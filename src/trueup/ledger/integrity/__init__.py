"""Lifecycle integrity in the database: its rules as constraints, indexes and triggers, and the record of the steps."""
