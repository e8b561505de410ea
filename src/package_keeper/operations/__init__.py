"""One module per operation. Each reads, plans, passes the guards, and writes if it has something to write with."""
