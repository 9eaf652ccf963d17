"""One module per kind of figure: a tidy frame in, a drawing out; nothing is fitted here."""
