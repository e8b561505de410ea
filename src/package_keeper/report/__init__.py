"""What people see: pure functions from a run's plan and records to Markdown, JSON and tables."""
