"""Checks that need what no wheel brings, so they are commands and no tests."""
