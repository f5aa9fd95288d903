"""PyTorch is large and not among the extras of this environment: its tests run where it is installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch") else ["test_torch.py", "test_model_checkpoints.py"]
