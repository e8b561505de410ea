"""`python -m package_keeper` is the command line. The image starts `entrypoint.py`, which keeps the workspace out."""

from package_keeper.main import command_line

if __name__ == "__main__":
    command_line()
