"""Published figures, beside the registry's own."""
