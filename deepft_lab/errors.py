"""The tree of errors, and the one table error -> HTTP status.

Every error says what happened, to which thing, and what to do next. Over HTTP it is
`{"error": code, "message": ..., "faults": [...]}`, and the client raises the same class again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepft_lab.records import Fault


class DeepFTError(Exception):
    """Base of all errors of DeepFT Lab. `faults` lists every fault of the request, one a field or file."""

    status = 500
    faults: tuple[Fault, ...] = ()

    def __init__(self, message: str, faults: Iterable[Fault] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.faults = tuple(faults)

    @property
    def code(self) -> str:
        return type(self).__name__


class InvalidRequest(DeepFTError):
    """The request cannot be understood: a wrong type, a missing key, an id with wrong characters."""

    status = 400


class InvalidParams(DeepFTError):
    """Hyperparameters or training choices are wrong; `faults` names each field."""

    status = 422


class BadImage(DeepFTError):
    """A file is no picture that can be read. The message says why."""

    status = 422


class WeightsNotFound(DeepFTError):
    """Pretrained weights are not on this machine. Names the file, the places searched and both ways out."""

    status = 422


class TemplateError(DeepFTError):
    """A template file is wrong; `faults` lists each key."""

    status = 422


class NotSignedIn(DeepFTError):
    """No token, or a wrong one."""

    status = 401


class Forbidden(DeepFTError):
    """The caller's role on the app does not allow this."""

    status = 403


class NotFound(DeepFTError):
    """No such thing, or not the caller's."""

    status = 404


class Conflict(DeepFTError):
    """The id is taken, or the thing is in a state that does not allow this."""

    status = 409


class TooLarge(DeepFTError):
    """A file or a request is above a limit that the message names."""

    status = 413


class StoreFull(DeepFTError):
    """The disk of the store is full. Nothing was half written."""

    status = 507


class Unavailable(DeepFTError):
    """The store or the predictor is not ready now; trying again later may succeed."""

    status = 503


class TrainingFailed(DeepFTError):
    """Raised by `version.wait()`: the job ended without a model. The message is the reason."""


class QuoteFailed(DeepFTError):
    """Raised by `model.quote()`: what a training would take could not be measured. The message is the reason."""


class VersionDeleted(DeepFTError):
    """Raised by `version.wait()`: the version was deleted, which cancels its job."""


class ServerNotFound(DeepFTError):
    """`connect()` found no server and could not start one."""


def error_classes() -> dict[str, type[DeepFTError]]:
    """Every error class by its code, for rebuilding an error from its JSON."""
    found: dict[str, type[DeepFTError]] = {}
    pending: list[type[DeepFTError]] = [DeepFTError]
    while pending:
        cls = pending.pop()
        found[cls.__name__] = cls
        pending.extend(cls.__subclasses__())
    return found


def to_json(error: DeepFTError) -> dict[str, Any]:
    """The wire form of an error."""
    faults = [{"field": f.field, "value": f.value, "reason": f.reason} for f in error.faults]
    return {"error": error.code, "message": error.message, "faults": faults}


def from_json(payload: dict[str, Any], status: int) -> DeepFTError:
    """The error that `payload` describes; an unknown code becomes the class of its status."""
    from deepft_lab.records import Fault

    classes = error_classes()
    cls = classes.get(str(payload.get("error")))
    if cls is None:
        cls = next((c for c in classes.values() if c.status == status and c is not DeepFTError), DeepFTError)
    faults = [Fault(f.get("field", ""), f.get("value"), f.get("reason", "")) for f in payload.get("faults", [])]
    return cls(str(payload.get("message") or f"The server answered {status}."), faults)
