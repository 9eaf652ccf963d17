"""The page templates: everything written into them is escaped."""

from __future__ import annotations

import jinja2


def template(name: str) -> jinja2.Template:
    """A template of this package; a name that it asks for and is not given is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cohort.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)
