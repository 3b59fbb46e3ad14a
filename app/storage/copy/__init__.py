"""Copying a database as it is into another one, of the same or of another kind."""
