"""The real order API as a fixture, for what is run from the desk."""

from tests.actions.conftest import world

__all__ = ["world"]
