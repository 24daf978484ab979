"""What the tests share: databases, a test application with jobs, real processes, a ledger, the invariants."""

import pytest

# So that a failed assertion in them shows its values, as one in a test does.
pytest.register_assert_rewrite("tests.harness.commands", "tests.harness.invariants", "tests.harness.waiting")
