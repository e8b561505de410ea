"""How properties are tested: short and always the same; long, and each time with other examples, with `make fuzz`.

Also gives SIGINT its usual meaning: a shell script that starts the tests in the background has it ignored.
"""

import os
import signal

from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]

settings.register_profile(
    "short", derandomize=True, max_examples=30, deadline=None, database=None, suppress_health_check=SLOW
)
settings.register_profile("thorough", max_examples=2_000, deadline=None, print_blob=True, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("PACKAGE_KEEPER_TESTS", "short"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
