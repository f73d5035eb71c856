"""Reads the output of a program on a pseudo-terminal."""

import os


def read_terminal(terminal: int) -> bytes:
    """Returns the whole output of the programs on a terminal, and closes this end of it."""
    shown = b""
    try:
        while chunk := os.read(terminal, 65536):
            shown += chunk
    except OSError:  # Linux raises EIO when the other end is closed
        pass
    finally:
        os.close(terminal)
    return shown
