"""These tests need a server of their own, which the door `tox -e remote` brings; elsewhere they are not collected."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("s3fs") and find_spec("moto") else ["test_*.py"]
