from files.conftest import make_socket, plant, tmp_path  # noqa: F401 fixtures
