"""Take model files apart, change them, and seal them with a valid digest."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from narrows import Autoencoder

BLANK = "0" * 64


def small(**changes: Any) -> Autoencoder:
    arguments = {"n_components": 2, "hidden": (4,), "max_epochs": 2, "random_state": 0}
    return Autoencoder(**{**arguments, **changes})


def take_apart(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return the header without its metadata, the metadata, and the tensors' bytes."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    return header, json.loads(header.pop("__metadata__")["narrows"]), data[end:]


def seal(header: bytes, payload: bytes) -> bytes:
    """Return a file with this header and a matching digest, as a skilled attacker would write."""
    data = len(header).to_bytes(8, "little") + header + payload
    return data.replace(BLANK.encode(), hashlib.sha256(data).hexdigest().encode(), 1)


def put_together(header: dict[str, Any], body: dict[str, Any] | str, payload: bytes) -> bytes:
    if not isinstance(body, str):
        body = json.dumps({**body, "sha256": BLANK})
    return seal(json.dumps({"__metadata__": {"narrows": body}, **header}).encode(), payload)


def minimal(header: dict[str, Any], payload: bytes, **changes: Any) -> bytes:
    """Return a sealed file with any header and a valid spec."""
    return put_together(
        header, {"kind": "model", "format_version": 1, "spec": {}, **changes}, payload
    )
