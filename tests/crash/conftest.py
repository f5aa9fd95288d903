from files.conftest import make_socket, plant  # noqa: F401 fixtures
