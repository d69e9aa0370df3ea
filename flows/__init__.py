"""Prefect flows, one per file; each reads as a table of contents of what it builds."""
