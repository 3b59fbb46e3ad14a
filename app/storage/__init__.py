"""The database: connections, transactions, and the rows by key."""
