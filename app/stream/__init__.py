"""The stream: a ring of recent frames, subscriptions as cursors over the log, and who has acknowledged what."""
