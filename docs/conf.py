"""Sphinx settings; the documents are Markdown."""

import importlib.metadata

project = "ataraxis-data-structures"
version = release = importlib.metadata.version("ataraxis-data-structures")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"{project} {release}"
myst_heading_anchors = 3
autodoc_typehints = "signature"
