"""The workflows of `examples/`, carried out on a simulated GitHub."""
