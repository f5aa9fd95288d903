"""Keeps data files out of git: the rules, what git holds under them, and the hook."""

from .files import Finding, check
from .git import check_history, check_index, check_staged
from .hook import install
from .rules import rule_of

__all__ = ["Finding", "check", "check_history", "check_index", "check_staged", "install", "rule_of"]
