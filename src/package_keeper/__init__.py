"""Package Keeper lists, deletes and restores GitHub Packages, safely.

The rooms and the one direction in which data flows through them are described in `docs/architecture.md`.
"""

__version__ = "0.1.0"
