"""Celery: hints to look now, and ticks each second. Never the only copy of anything (docs/decisions)."""
