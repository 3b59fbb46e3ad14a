"""Pure rules over skills: nothing here waits, writes or remembers."""
