"""Inputs: their definitions, and the parser that turns their texts into frozen `Settings`, or into problems."""
