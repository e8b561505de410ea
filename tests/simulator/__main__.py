"""Run the simulator alone: ``python -m tests.simulator --port 8931 --scenario demo``."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading

from .scenarios import ACTIONS_TOKEN, SCENARIOS, TOKEN
from .simulator import Simulator


def main() -> int:
    """Serve a scenario until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description="A GitHub Packages on loopback.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8931, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--scenario", default="demo", choices=sorted(SCENARIOS), help="world to serve")
    parser.add_argument("--list", action="store_true", help="list the scenarios and stop")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds each request takes")
    parser.add_argument("--time-scale", type=float, default=1.0, help="60: a minute's limit lasts one second")
    parser.add_argument("--no-limits", action="store_true", help="no rate limits at all, as on many GHES")
    parser.add_argument("--validate", action="store_true", help="check against GitHub's OpenAPI description")
    arguments = parser.parse_args()
    if arguments.list:
        for name, scenario in SCENARIOS.items():
            print(f"{name:8} {(scenario.__doc__ or '').strip()}")
        return 0
    simulator = Simulator(
        arguments.time_scale,
        arguments.latency,
        validate=arguments.validate,
        host=arguments.host,
        port=arguments.port,
    )
    if arguments.no_limits:
        simulator.limits.configure(enabled=False)
    SCENARIOS[arguments.scenario](simulator)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with simulator, contextlib.suppress(KeyboardInterrupt):
        print(f"REST              {simulator.url}  (Enterprise form: {simulator.enterprise_url})")
        print(f"registry          {simulator.registry_url}")
        print(f"classic token     {TOKEN}  (login octocat)")
        print(f"GITHUB_TOKEN      {ACTIONS_TOKEN}")
        print(f"scenario          {arguments.scenario}; Ctrl-C stops", flush=True)
        stopped.wait()
    for line in [*map(str, simulator.contract_violations), *simulator.errors]:
        print(line, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
