"""A faithful GitHub Packages (REST and registry) on loopback, for tests, demo and benchmarks.

It follows docs/github-behaviour.md. What it is for: docs/decisions/0007-tests-and-simulator.md.
"""

from .clock import Clock
from .images import push_image, push_referrer
from .openapi import EXCEPTIONS, Contract, Violation
from .packages import Package, Version
from .simulator import Simulator, Unknowns
from .store import Owner, Pull, Repository
from .tokens import Token
from .wire import Answer, Refusal, Request

__all__ = [
    "EXCEPTIONS",
    "Answer",
    "Clock",
    "Contract",
    "Owner",
    "Package",
    "Pull",
    "Refusal",
    "Repository",
    "Request",
    "Simulator",
    "Token",
    "Unknowns",
    "Version",
    "Violation",
    "push_image",
    "push_referrer",
]
