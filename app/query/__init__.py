"""Query: finding skills and reading them."""
