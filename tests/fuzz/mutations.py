"""Seeded mutations: what atheris does, in small, without it and always the same."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

LARGEST = 4096
PIECES = (
    *(bytes([each]) for each in b"\0\n\r\t \"'`\\/*?[](){}!#%&@$:;,.|<>=+-~_09azAZ\x7f\x80\xff"),
    *(text.encode() for text in ("é", "\u202e", "\u2028", "\ufeff", "\U0001f680", "\u0661", "\u0663d", "\u0130", "ß")),
    *b"null true NaN -1 1e999 \\ud800 \\u0000 &a *a << !! :: ##[ ** 99999999999999999999999999999999".split(),
)


def mutated(seeds: Sequence[bytes], number: int, seed: int = 0) -> Iterator[bytes]:
    """The seeds themselves, then `number` mutations of them, of at most `LARGEST` bytes."""
    yield from seeds
    draw = random.Random(seed)
    for _ in range(number):
        data = draw.choice(seeds)
        for _ in range(draw.randint(1, 6)):
            data = _changed(draw, data, seeds)
        yield data


def _changed(draw: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start = draw.randint(0, len(data))
    end = min(len(data), start + draw.choice((0, 1, 1, 2, 8, 64)))
    piece = {
        "drop": b"",
        "piece": draw.choice(PIECES),
        "random": draw.randbytes(draw.randint(1, 4)),
        "again": data[start:end] * draw.choice((2, 3, 50)),
        "other": (other := draw.choice(seeds))[draw.randint(0, len(other)) :][:64],
    }[draw.choice(("drop", "piece", "piece", "random", "again", "other"))]
    return (data[:start] + piece + data[end:])[:LARGEST]
