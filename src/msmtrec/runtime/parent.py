"""Processes that end with the one that began them."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time


def end_with_parent() -> None:
    """Nobody waits for what a killed parent has asked for, and nothing may be written behind the back of a resumed run.

    A process of `multiprocessing` watches its parent there; any other one sees that it has been handed to another.
    """
    parent, number = multiprocessing.parent_process(), os.getppid()

    def watch() -> None:
        if parent is not None:
            parent.join()
        while parent is None and os.getppid() == number:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
