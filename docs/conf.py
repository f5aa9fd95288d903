"""Sphinx settings; the documents are Markdown."""

import importlib.metadata
import inspect
import os
import subprocess
import sys
import types

import ataraxis_data_structures as package
from ataraxis_data_structures import cli
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

project = "ataraxis-data-structures"
version = release = importlib.metadata.version("ataraxis-data-structures")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"{project} {release}"
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
default_role = "code"  # a name between single backticks in a docstring
nitpicky = True
suppress_warnings = ["ref.python"]  # a field called `bytes` is taken for the type; what is missing is told by nitpicky
nitpick_ignore_regex = [(r"py:.*", r"(?!ataraxis_data_structures\.\w+$).*")]  # only public names are linked

_QUEUE = "put, put_nowait, put_many, get, get_nowait, qsize, empty, full"  # what users of a queue call


class _Generated(SphinxDirective):
    """A directive whose content is Markdown that the code itself tells, so that it can't be out of date."""

    def run(self) -> list[nodes.Node]:
        parent = nodes.section()
        parent.document = self.state.document
        self.state.nested_parse(StringList(self.markdown(), source="generated"), 0, parent, match_titles=True)
        return parent.children


class Names(_Generated):
    """`axds-names` ROOM…: every public name whose home is in one of the rooms."""

    required_arguments = 1
    final_argument_whitespace = True

    def markdown(self) -> list[str]:
        """Return an autodoc block for each name."""
        rooms = self.arguments[0].split()
        names = [name for name in package.__all__ if _home_of(name).split(".")[0] in rooms]
        if not names:
            raise self.error(f"expected public names at home in {rooms}, got none")
        return [line for name in names for line in _autodoc_of(name)]


class Commands(_Generated):
    """`axds-commands`: the help of every command."""

    def markdown(self) -> list[str]:
        """Return the output of `--help` for each command."""
        return [line for name in cli._COMMANDS for line in _help_of(name)]  # noqa: SLF001 as above


def _home_of(name: str) -> str:
    return package._HOMES[name]  # noqa: SLF001 the table itself


def _autodoc_of(name: str) -> list[str]:
    found = getattr(package, name)
    lines = ["```{eval-rst}"]
    if isinstance(found, type) and issubclass(found, BaseException):
        lines += [f".. autoexception:: ataraxis_data_structures.{name}", "   :show-inheritance:"]
    elif isinstance(found, type):
        members = f" {_QUEUE}" if name == "LogQueue" else ""
        lines += [f".. autoclass:: ataraxis_data_structures.{name}", f"   :members:{members}", "   :undoc-members:"]
        if any(base.__module__.startswith("ataraxis_data_structures._core") for base in found.__mro__[1:]):
            lines += ["   :inherited-members:"]
    elif isinstance(found, types.FunctionType) or inspect.isroutine(found):
        lines += [f".. autofunction:: ataraxis_data_structures.{name}"]
    else:
        lines += [f".. autodata:: ataraxis_data_structures.{name}"]
    return [*lines, "```", ""]


def _help_of(name: str) -> list[str]:
    command = [sys.executable, "-m", "ataraxis_data_structures.cli", *name.split(), "--help"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | {"COLUMNS": "100"})
    return [f"## axds {name}", "", "```text", *text.stdout.rstrip().splitlines(), "```", ""]


def setup(app: Sphinx) -> None:
    """Make the directives known."""
    app.add_directive("axds-names", Names)
    app.add_directive("axds-commands", Commands)
