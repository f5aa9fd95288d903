"""Models: PyTorch modules as a state of tensors, every other object as a pickle with its writer's mark."""

import hashlib
import inspect
import io
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from ...errors import DamagedError, StoreError, UntrustedError
from ..jsontags import decode, encode
from .kind import About, Kind, Payload, PayloadFile
from .libraries import library, loaded
from .marks import is_trusted, mark_of, own_key, seal_of

_EXTRA = "models"
TORCH = "torch"


@dataclass(frozen=True)
class TorchModel:
    """A PyTorch module with the arguments that make another of its class."""

    module: Any
    init_args: Mapping[str, Any] = field(default_factory=dict)


def framework_of(value: Any) -> str:
    """Return the name of the library that a model is of: torch, sklearn, or that of its class's own package."""
    model = value.module if isinstance(value, TorchModel) else value
    if _is_torch(model):
        return TORCH
    packages = [base.__module__.partition(".")[0] for base in type(model).__mro__]
    return "sklearn" if "sklearn" in packages else packages[0]


def _is_torch(value: Any) -> bool:
    torch = loaded(TORCH)
    return torch is not None and isinstance(value, torch.nn.Module)


def _about(model: Any) -> About:
    kind = type(model)
    return {"class": f"{kind.__module__}:{kind.__qualname__}", "framework": framework_of(model)}


# Pickles


def _accepts(value: Any) -> bool:
    """Refuse what has no state of its own: functions, classes and modules are names of code."""
    return type(value) is not object and not isinstance(value, type | ModuleType) and not inspect.isroutine(value)


def _write_pickle(value: Any, file: PayloadFile) -> About:
    model = value.module if isinstance(value, TorchModel) else value
    try:
        data = pickle.dumps(model, protocol=5)
    except Exception as error:  # an object's own code decides what it raises
        raise TypeError(f"expected a value that can be pickled, got {type(model)!r}: {error}") from error
    file.write(data)
    return {**_about(model), "pickle": True, "sha256": hashlib.sha256(data).hexdigest()}


def _seal(about: About, digest: str, uuid: str) -> About:
    key = own_key()
    return {**about, "mark": mark_of(uuid, digest, key), "seal": seal_of(uuid, about["sha256"], key)}


def _read_pickle(payload: Payload, about: About) -> Any:
    data = payload.data()
    # The bytes that were checked are the bytes that run: the file is not read a second time.
    if not (payload.is_trusted or is_trusted(about.get("seal"), payload.uuid, hashlib.sha256(data).hexdigest())):
        raise UntrustedError(
            f"expected a pickle that this user wrote, got another's in {payload.path}: reading it runs its writer's "
            f"code; trust=True reads it all the same, `axds store trust KEY` all of a colleague's"
        )
    return pickle.loads(data)  # noqa: S301 the user's own, a trusted colleague's, or trusted by the caller


# States of tensors


def _accepts_torch(value: Any) -> bool:
    """Tell whether another object of the class can be made: with its arguments, or because it needs none."""
    if isinstance(value, TorchModel):
        return bool(value.init_args) or _accepts_torch(value.module)
    return _is_torch(value) and _needs_nothing(type(value))


def _needs_nothing(kind: type) -> bool:
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return False
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(one.default is not one.empty or one.kind in variable for one in parameters)


def _write_torch(value: Any, file: PayloadFile) -> About:
    model = value if isinstance(value, TorchModel) else TorchModel(value)
    data = io.BytesIO()
    library(TORCH, _EXTRA).save(model.module.state_dict(), data)
    file.write(data.getbuffer())
    return {**_about(model.module), "init_args": encode(dict(model.init_args), "init_args")}


def _state(payload: Payload, _: About) -> Any:
    torch = library(TORCH, _EXTRA)
    data = io.BytesIO(payload.data())
    try:
        return torch.load(data, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise DamagedError(f"expected a state of tensors in {payload.path}: {error}", (str(payload.path),)) from None


def _write_safe(value: Any, file: PayloadFile) -> About:
    model = value if isinstance(value, TorchModel) else TorchModel(value)
    library(TORCH, _EXTRA)
    try:
        data = library("safetensors.torch", _EXTRA).save(
            {name: tensor.contiguous() for name, tensor in model.module.state_dict().items()}
        )
    except (RuntimeError, ValueError, AttributeError) as error:  # tensors that share memory, or a state of others
        raise TypeError(
            f"expected a state of separate tensors for safetensors, got {type(model.module)!r}: {error}"
        ) from error
    file.write(data)
    return {**_about(model.module), "init_args": encode(dict(model.init_args), "init_args")}


def _safe_state(payload: Payload, _: About) -> Any:
    safe, data = library("safetensors", _EXTRA), payload.data()
    try:
        return library("safetensors.torch", _EXTRA).load(bytes(data))
    except (safe.SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise DamagedError(f"expected a state of tensors in {payload.path}: {error}", (str(payload.path),)) from None


def _read_safe(payload: Payload, about: About) -> Any:
    return rebuilt(_safe_state(payload, about), about)


def _read_torch(payload: Payload, about: About) -> Any:
    return rebuilt(_state(payload, about), about)


def rebuilt(state: Any, about: About, kind: Any = None) -> Any:
    """Return a module with a state.

    Args:
        state: The tensors by name.
        about: What the ledger says of the model.
        kind: Its class; by default the one of its name, which this program must have imported: a name in a file
            imports nothing.

    Raises:
        StoreError: The program has no such class of modules.
    """
    kind = kind or _known_class(about.get("class"))
    init_args = decode(about.get("init_args", {}))
    module = kind(**init_args)
    module.load_state_dict(state)
    return module


def _known_class(text: object) -> Any:
    home, _, name = str(text).partition(":")
    found: Any = sys.modules.get(home)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, library(TORCH, _EXTRA).nn.Module)):
        raise StoreError(f"expected the class {text} to be imported by this program, got none: import it, or give it")
    return found


SAFE = Kind(
    "model", lambda _: ".safetensors", _accepts_torch, _write_safe, _read_safe, _safe_state,
    format="safetensors", is_default=False,
)  # fmt: skip
STATE = Kind("model", lambda _: ".pth", _accepts_torch, _write_torch, _read_torch, _state, format="pth")
PICKLE = Kind("model", lambda _: ".pkl", _accepts, _write_pickle, _read_pickle, _read_pickle, format="pkl", seal=_seal)
