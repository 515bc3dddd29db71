"""Turns what pydantic found into problems with a key, a value, a need and a command."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from stages.problems import Problem, remove_command, set_command, shown

Location = Sequence[int | str]


def problems(key: str, error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Return one problem for each error in the value of `key`."""
    return [_problem(key, dict(item), model) for item in error.errors()]


def _problem(key: str, item: Mapping[str, Any], model: type[BaseModel]) -> Problem:
    path = _path(key, item["loc"])
    if item["type"] == "extra_forbidden":
        return Problem(
            key=path,
            found=f"unknown key with {shown(item['input'])}",
            needed=f"one of {', '.join(_known(model, item['loc'][:-1]))}",
            mend=remove_command(path),
        )
    field = _field(model, item["loc"])
    missing = item["type"] == "missing"
    described = field.description if field and field.description else item["msg"]
    return Problem(
        key=path,
        found=shown(None if missing else item["input"]),
        needed=described if missing else f"{described} ({item['msg'].lower()})",
        mend=set_command(path, _example(field)),
    )


def _path(key: str, location: Location) -> str:
    return key + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _field(model: type[BaseModel], location: Location) -> FieldInfo | None:
    field: FieldInfo | None = None
    current: type[BaseModel] | None = model
    for part in location:
        if current is None:
            break
        by_alias = {info.alias or name: info for name, info in current.model_fields.items()}
        field = by_alias.get(str(part), field)
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
    return [info.alias or name for name, info in (nested or model).model_fields.items()]


def _example(field: FieldInfo | None) -> object:
    return field.examples[0] if field is not None and field.examples else "VALUE"
