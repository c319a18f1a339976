"""Fixtures and hooks that every suite may use."""

from tests.lab.fixture import lab, pytest_collection_finish, pytest_collection_modifyitems

__all__ = ("lab", "pytest_collection_finish", "pytest_collection_modifyitems")
