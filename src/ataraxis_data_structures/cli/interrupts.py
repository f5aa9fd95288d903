"""Ctrl-C where Python can't take it well: amid an import, in a destructor, at the end of the process."""

import signal
import sys
import threading
from importlib import import_module
from types import ModuleType
from typing import Any


def import_uninterrupted(name: str) -> ModuleType:
    """Import a module and hold a Ctrl-C back meanwhile: cut short, an import fails with any error, or goes on."""
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        return import_module(name)
    finally:
        signal.signal(signal.SIGINT, before)
        for number in came[:1]:
            signal.raise_signal(number)


def repeat_lost_ctrl_c(unraisable: Any) -> None:
    """Interrupt once more if a Ctrl-C came in a destructor or a weak reference's callback, which can't pass it on."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        main_thread = threading.main_thread().ident
        threading.Timer(0.01, signal.pthread_kill, (main_thread, signal.SIGINT)).start()  # at once, it would come here
    else:
        sys.__unraisablehook__(unraisable)


def ignore_ctrl_c() -> None:
    """Let the process end in peace: from here on a Ctrl-C would only show where the interpreter was."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
