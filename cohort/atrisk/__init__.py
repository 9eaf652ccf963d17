"""Who was at risk, when, and exposed to what."""
