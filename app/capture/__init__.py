"""Capture: writing skills down. One object, `Recorder`, and the transactions it runs."""
