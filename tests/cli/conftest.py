from conftest_cli import axds, refused, small_disk  # noqa: F401 fixtures for every test of a command
