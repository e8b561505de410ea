"""Fuzzing of the parsers: `targets` is what is fuzzed; `python -m tests.fuzz` is the fuzzer."""
