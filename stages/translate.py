"""Turns what pydantic found into problems with a key, a value, a need and a command."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from stages.problems import (
    UNKNOWN_KEY,
    Problem,
    anew_command,
    below,
    remove_command,
    set_command,
    shown,
)

Location = Sequence[int | str]


def problems(key: str, error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Return one problem for each error in the value of `key`."""
    return [_problem(key, dict(item), model) for item in error.errors()]


def _problem(key: str, item: Mapping[str, Any], model: type[BaseModel]) -> Problem:
    path = _path(key, item["loc"])
    if item["type"] == "extra_forbidden":
        return Problem(
            key=path,
            found=UNKNOWN_KEY,
            needed=f"one of {', '.join(_known(model, item['loc'][:-1]))}",
            mend=remove_command(path),
        )
    if item["type"] == "model_type":
        return _no_mapping(path, item, _nested(_field(model, item["loc"])) or model)
    field = _field(model, item["loc"])
    missing = item["type"] == "missing"
    described = field.description if field and field.description else item["msg"]
    return Problem(
        key=path,
        found=shown(None) if missing else _found(item),
        needed=described if missing else described + _reason(item),
        mend=(anew_command if _is_text(item) else set_command)(path, _example(field)),
    )


def _no_mapping(path: str, item: Mapping[str, Any], model: type[BaseModel]) -> Problem:
    required = [name for name, info in _by_alias(model).items() if info.is_required()]
    example = {required[0]: _example(_by_alias(model)[required[0]])}
    return Problem(
        key=path,
        found=shown(item["input"]),
        needed=f"a mapping with {', '.join(required)}",
        mend=anew_command(path, example),
    )


def _found(item: Mapping[str, Any]) -> str:
    """Return the value; a text in quotes where its type is the mistake."""
    return json.dumps(item["input"]) if _is_text(item) else shown(item["input"])


def _is_text(item: Mapping[str, Any]) -> bool:
    """Whether a text is where a value of another type belongs."""
    value = item["input"]
    return item["type"].endswith("_type") and isinstance(value, str) and bool(value)


def _reason(item: Mapping[str, Any]) -> str:
    """Return what pydantic says, unless it is a pattern: the description has it in words."""
    message: str = item["msg"]
    pattern = item["type"] == "string_pattern_mismatch"
    return "" if pattern else f" ({message[0].lower()}{message[1:]})"


def _by_alias(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {info.alias or name: info for name, info in model.model_fields.items()}


def _path(key: str, location: Location) -> str:
    for part in location:
        key = below(key, part)
    return key


def _field(model: type[BaseModel], location: Location) -> FieldInfo | None:
    field: FieldInfo | None = None
    current: type[BaseModel] | None = model
    for part in location:
        if current is None:
            break
        field = _by_alias(current).get(str(part), field)
        current = _nested(field)
    return field


def _nested(field: FieldInfo | None) -> type[BaseModel] | None:
    if field is None:
        return None
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _known(model: type[BaseModel], location: Location) -> list[str]:
    nested = _nested(_field(model, location)) if location else None
    return list(_by_alias(nested or model))


def _example(field: FieldInfo | None) -> object:
    return field.examples[0] if field is not None and field.examples else "VALUE"
