"""The real order API as a fixture, for plans of the desk."""

from tests.actions.conftest import world

__all__ = ["world"]
