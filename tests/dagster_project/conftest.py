"""What Dagster keeps for the whole process, each test finds as in a new one."""

from collections.abc import Iterator

import pytest
from dagster._core.storage.defs_state.base import set_defs_state_storage


@pytest.fixture(autouse=True)
def no_instance_of_before() -> Iterator[None]:
    """Definitions are loaded with the state of the last instance, which may be gone by now."""
    with set_defs_state_storage(None):
        yield
