"""The signals that ask a run to stop, and how they wait while the program is imported.

It imports nothing that takes time: it runs before everything else.
"""

import signal

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a run to stop."""


def hold() -> None:
    """Make them wait for `release`: until the run can report that it was cancelled.

    Otherwise Python would end with a traceback, or as process 1 of a container not notice them.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)


def release() -> None:
    """Deliver them, and those that arrived in the meantime, to their handlers."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
