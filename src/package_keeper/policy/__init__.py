"""What should happen: selection, retention, plan and guards. Pure, and it declares what each of these is."""
