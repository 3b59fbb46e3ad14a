"""The log of a network: append, read, follow, and the wake that says when to look."""
