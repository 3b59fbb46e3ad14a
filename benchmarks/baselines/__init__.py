"""What CIN is measured beside: the plainest programs that do a part of what it does."""
