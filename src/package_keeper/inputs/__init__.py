"""What was asked: the one definition of all inputs, and the way from text to frozen `Settings`, or all problems."""
