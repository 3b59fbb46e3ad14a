"""The HTTP edge: thin handlers that receive values, call one object and return one answer."""
