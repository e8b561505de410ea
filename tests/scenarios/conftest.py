"""What checks a run stands beside the tests; pytest is to show its comparisons as it shows those of tests."""

import pytest

pytest.register_assert_rewrite("tests.scenarios.expectations", "tests.scenarios.schemas")
