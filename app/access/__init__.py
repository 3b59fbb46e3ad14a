"""Who asks, and for which network. Keys, tenants and limits will stand here; today every request is for `default`."""
