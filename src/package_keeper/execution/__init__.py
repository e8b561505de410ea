"""Executes guarded plans: executor, receipts, and the protocols that GitHub clients implement."""
