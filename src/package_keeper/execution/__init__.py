"""Making it happen: one module per operation, receipts, and what the operations need of the wire."""
