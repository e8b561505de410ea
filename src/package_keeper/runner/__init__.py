"""The machine a run happens on: the Actions runner's files and commands, the terminal, signals, time."""
