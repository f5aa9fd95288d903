from conftest_cli import axds, refused  # noqa: F401 fixtures for every test of a command
