"""Sphinx settings; the documents are Markdown."""

from importlib.metadata import version

project = "ataraxis-data-structures"
release = version("ataraxis-data-structures")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.intersphinx"]
html_theme = "furo"
html_title = f"{project} {release}"
myst_heading_anchors = 3
autodoc_typehints = "signature"
nitpicky = False
intersphinx_mapping: dict[str, tuple[str, None]] = {}
