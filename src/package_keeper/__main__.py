"""The command line, as `python -m package_keeper` and `package-keeper`. The image starts `entrypoint.py` instead."""

from package_keeper.stopping import hold

# before the imports, which take most of the start
hold()

from package_keeper.main import command_line  # noqa: E402  # reason: signals must wait before

__all__ = ["command_line"]

if __name__ == "__main__":
    command_line()
