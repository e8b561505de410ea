"""The machine of a run: the Actions runner's files and commands, the terminal, signals and time."""
