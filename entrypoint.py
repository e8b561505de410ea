"""Both doors of Package Keeper: without arguments the GitHub Action, with arguments the command line."""

import sys
from pathlib import Path

# first on the path, so that nothing in a workspace or in PYTHONPATH can stand in for our own modules
sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from package_keeper.stopping import hold  # reason: the path must be set before

# before the imports, which take most of the start
hold()

from package_keeper.main import action_or_command_line  # noqa: E402  # reason: signals must wait before

if __name__ == "__main__":
    action_or_command_line()
