"""Folders of arrays, tables and files behind attributes, with configurations and builds; the root is one store."""

from .comparison import diff
from .directory import Directory
from .roots import get_root_dir, root, set_root_context, set_root_dir
from .settings import Config

__all__ = ["Config", "Directory", "diff", "get_root_dir", "root", "set_root_context", "set_root_dir"]
