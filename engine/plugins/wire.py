"""Pulumi's values on the wire, read as plain Python and written back.

Own reading instead of ``pulumi.provider.experimental``: that one drops the hash of assets,
and without it a changed file under an unchanged name can not be seen.
Source of the signatures: ``pulumi.runtime.rpc``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

SIGNATURE: Final = rpc._special_sig_key
SECRET: Final = rpc._special_secret_sig
OUTPUT: Final = rpc._special_output_value_sig
ASSET: Final = rpc._special_asset_sig
ARCHIVE: Final = rpc._special_archive_sig
UNKNOWN_TEXT: Final = rpc.UNKNOWN


@dataclass(frozen=True)
class Unknown:
    """A value that is not known in a preview."""


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A file (``path``), a text, or something remote; ``hash`` is the engine's SHA-256."""

    hash: str
    path: str = ""
    text: str = ""
    uri: str = ""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A folder or archive file (``path``), something remote, or a bundle of assets."""

    hash: str
    path: str = ""
    uri: str = ""


Plain = None | bool | float | str | list["Plain"] | dict[str, "Plain"] | Unknown | Asset | Archive


def _text(fields: Mapping[str, struct_pb2.Value], key: str) -> str:
    return fields[key].string_value if key in fields else ""


def _special(fields: Mapping[str, struct_pb2.Value]) -> Plain:
    signature = fields[SIGNATURE].string_value
    if signature == SECRET:
        return plain(fields["value"])
    if signature == OUTPUT:
        return plain(fields["value"]) if "value" in fields else Unknown()
    if signature == ASSET:
        path, text, uri = (_text(fields, key) for key in ("path", "text", "uri"))
        return Asset(hash=_text(fields, "hash"), path=path, text=text, uri=uri)
    if signature == ARCHIVE:
        path, uri = _text(fields, "path"), _text(fields, "uri")
        return Archive(hash=_text(fields, "hash"), path=path, uri=uri)
    return {key: plain(value) for key, value in fields.items()}


def plain(value: struct_pb2.Value) -> Plain:
    """Read one value, with secret marks taken off."""
    kind = value.WhichOneof("kind")
    if kind == "string_value" and value.string_value == UNKNOWN_TEXT:
        return Unknown()
    if kind == "list_value":
        return [plain(item) for item in value.list_value.values]
    if kind == "struct_value":
        fields = value.struct_value.fields
        if SIGNATURE in fields:
            return _special(fields)
        return {key: plain(item) for key, item in fields.items()}
    simple: bool | float | str | None = (
        None if kind in {None, "null_value"} else getattr(value, kind)
    )
    return simple


def plain_map(struct: struct_pb2.Struct) -> dict[str, Plain]:
    """Read a set of properties; what is null counts as absent."""
    read = {key: plain(value) for key, value in struct.fields.items()}
    return {key: value for key, value in read.items() if value is not None}


def wire(value: Plain, *, secret: bool = False) -> struct_pb2.Value:
    """Write one value, marked secret if asked."""
    written = struct_pb2.Value()
    if isinstance(value, Unknown):
        written.string_value = UNKNOWN_TEXT
    elif isinstance(value, bool):
        written.bool_value = value
    elif isinstance(value, int | float):
        written.number_value = value
    elif isinstance(value, str):
        written.string_value = value
    elif isinstance(value, list):
        written.list_value.values.extend(wire(item) for item in value)
    elif isinstance(value, dict):
        written.struct_value.SetInParent()
        for key, item in value.items():
            written.struct_value.fields[key].CopyFrom(wire(item))
    elif isinstance(value, Asset | Archive):
        written.CopyFrom(_wire_asset(value))
    else:
        written.null_value = struct_pb2.NULL_VALUE
    return _sealed(written) if secret and not isinstance(value, Unknown) else written


def _wire_asset(value: Asset | Archive) -> struct_pb2.Value:
    parts: dict[str, Plain] = {SIGNATURE: ASSET if isinstance(value, Asset) else ARCHIVE}
    parts.update({key: text for key, text in vars(value).items() if text})
    return wire(parts)


def _sealed(value: struct_pb2.Value) -> struct_pb2.Value:
    sealed = struct_pb2.Value()
    sealed.struct_value.fields[SIGNATURE].string_value = SECRET
    sealed.struct_value.fields["value"].CopyFrom(value)
    return sealed


def _children(value: struct_pb2.Value) -> Iterator[struct_pb2.Value]:
    yield from value.list_value.values
    yield from value.struct_value.fields.values()


def holds_secret(value: struct_pb2.Value) -> bool:
    """Tell whether the value, or anything inside it, is marked secret."""
    fields = value.struct_value.fields
    if SIGNATURE in fields:
        signature = fields[SIGNATURE].string_value
        if signature == SECRET or (signature == OUTPUT and fields["secret"].bool_value):
            return True
    return any(holds_secret(child) for child in _children(value))


def unsealed(value: struct_pb2.Value) -> struct_pb2.Value:
    """The value under a secret mark, to be changed in place; the value itself without one."""
    fields = value.struct_value.fields
    if SIGNATURE in fields and fields[SIGNATURE].string_value in {SECRET, OUTPUT}:
        return unsealed(fields["value"])
    return value
