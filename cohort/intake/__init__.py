"""From a raw registry to canonical tables, with every row accounted for."""
