"""Tests, the simulator, the demo. A package, because actions-toolkit installs one of the same name."""
