"""Memory of this process."""

import gc


def spare_the_collector() -> None:
    """Let Python look for circles of dead objects less often.

    A large inventory is millions of objects that all stay, and no circles: looking for those takes a quarter of all
    time (docs/benchmarks.md, "planning").
    """
    gc.set_threshold(200_000, 20, 100)


def leave_the_rest() -> None:
    """Let Python end without looking through all that is left: the system takes it back anyhow, in no time."""
    gc.freeze()
