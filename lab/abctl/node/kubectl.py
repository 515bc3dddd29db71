"""kubectl, for the few forms that the project uses; anything else is refused."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from .control import NEVER, WAIT_TURN_SECONDS, changed, is_ready
from .store import Object, Store

NAMESPACE = "airbyte-abctl"
KINDS = {
    "deployment": "deployments",
    "deployments": "deployments",
    "deploy": "deployments",
    "pod": "pods",
    "pods": "pods",
    "secret": "secrets",
    "secrets": "secrets",
}
NAMES = {"deployments": "deployment.apps", "pods": "pod", "secrets": "secret"}
DEFAULT_ROLLOUT_SECONDS = 600.0


class KubectlError(Exception):
    """Exit 1 with kubectl's text."""


class Kubectl:
    """One call."""

    def __init__(self, store: Store) -> None:
        """Keep the store."""
        self._store = store
        self.namespace = "default"

    def run(self, words: list[str]) -> str:
        """Run one command line; return what it prints."""
        rest = self._namespace(words)
        if rest[:1] == ["get"]:
            return self._get(rest[1:])
        if rest[:2] == ["rollout", "status"]:
            return self._rollout(rest[2:])
        if rest[:2] == ["scale", "deployment"]:
            return self._scale(rest[2:])
        if rest[:2] == ["delete", "pods"]:
            return self._delete_pods(rest[2:])
        if rest[:1] == ["logs"]:
            return self._logs(rest[1:])
        msg = f'error: unknown command {" ".join(rest[:2])!r} for "kubectl" (lab stand-in)'
        raise KubectlError(msg)

    def _namespace(self, words: list[str]) -> list[str]:
        rest, words = [], list(words)
        while words:
            word = words.pop(0)
            if word in {"-n", "--namespace"} and words:
                self.namespace = words.pop(0)
            elif word.startswith("--namespace="):
                self.namespace = word.partition("=")[2]
            else:
                rest.append(word)
        return rest

    def _all(self, kind: str) -> dict[str, Object]:
        if self.namespace != NAMESPACE:
            return {}
        found = self._store.all(kind)
        if kind == "deployments":
            status = self._store.get("statuses", "all") or {}
            for name, value in found.items():
                shown = dict(status.get(name, {}))
                shown.pop("templateHash", None)
                value["status"] = shown
        return found

    def _get(self, words: list[str]) -> str:
        names, form = _split(words, {"-o", "--output"})
        if not names:
            msg = "error: You must specify the type of resource to get."
            raise KubectlError(msg)
        items: list[Object] = []
        for plural in self._kinds(names[0]):
            found = self._all(plural)
            for name in names[1:]:
                if name not in found:
                    msg = f'Error from server (NotFound): {_group(plural)} "{name}" not found'
                    raise KubectlError(msg)
            items += [found[name] for name in (names[1:] or found)]
        if form == "json":
            one = len(names) == 2 and "," not in names[0]
            listed = {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}
            return json.dumps(items[0] if one else listed, indent=4) + "\n"
        if form == "name":
            return "".join(f"{_short(item)}\n" for item in items)
        if form == "jsonpath={.data}" and len(items) == 1:
            return json.dumps(items[0].get("data", {}), separators=(",", ":"))
        if form:
            msg = f'error: unable to match a printer suitable for the output format "{form}"'
            raise KubectlError(msg)
        if not items:
            sys.stderr.write(f"No resources found in {self.namespace} namespace.\n")
            return ""
        return "NAME\n" + "".join(f"{_line(item)}\n" for item in items)

    def _kinds(self, text: str) -> list[str]:
        for part in text.split(","):
            if part.partition(".")[0] not in KINDS:
                msg = f'error: the server doesn\'t have a resource type "{part}"'
                raise KubectlError(msg)
        return [KINDS[part.partition(".")[0]] for part in text.split(",")]

    def _named(self, text: str) -> str:
        kind, slash, name = text.partition("/")
        if not slash or self._kinds(kind) != ["deployments"]:
            msg = f"error: required resource not specified: {text}"
            raise KubectlError(msg)
        if name not in self._all("deployments"):
            msg = f'Error from server (NotFound): deployments.apps "{name}" not found'
            raise KubectlError(msg)
        return name

    def _rollout(self, words: list[str]) -> str:
        names, timeout = _split(words, {"--timeout"})
        if len(names) != 1:
            msg = "error: required resource not specified"
            raise KubectlError(msg)
        name = self._named(names[0])
        limit = _seconds(timeout) if timeout else DEFAULT_ROLLOUT_SECONDS
        waited = 0.0
        while not is_ready(self._store, name):
            if waited == 0.0:
                sys.stdout.write(f'Waiting for deployment "{name}" rollout to finish: ...\n')
                sys.stdout.flush()
            if waited >= limit:
                msg = "error: timed out waiting for the condition"
                raise KubectlError(msg)
            NEVER.wait(WAIT_TURN_SECONDS)
            waited += WAIT_TURN_SECONDS
        return f'deployment "{name}" successfully rolled out\n'

    def _scale(self, words: list[str]) -> str:
        names, replicas = _split(words, {"--replicas"})
        if replicas not in {"0", "1"}:
            msg = f"error: lab stand-in: --replicas must be 0 or 1, got {replicas!r}"
            raise KubectlError(msg)
        if "--all" in names:
            names = list(self._all("deployments"))
        else:
            names = [self._named(f"deployment/{name}") for name in names]
        if not names:
            msg = "error: no objects passed to scale"
            raise KubectlError(msg)
        with self._store.lock():
            for name in names:
                found = self._store.get("deployments", name)
                if found is not None:
                    found["spec"]["replicas"] = int(replicas)
                    self._store.put("deployments", name, found)
        changed(self._store)
        return "".join(f"deployment.apps/{name} scaled\n" for name in names)

    def _delete_pods(self, words: list[str]) -> str:
        """Wait until they are gone; one that its Deployment still wants would come again."""
        names, timeout = _split(words, {"--timeout"})
        wanted = [
            name for name, found in self._all("deployments").items() if found["spec"]["replicas"]
        ]
        if names != ["--all"] or wanted:
            msg = f"error: lab stand-in: only --all, and every Deployment at 0: {wanted or names}"
            raise KubectlError(msg)
        before = list(self._all("pods"))
        deadline = time.monotonic() + (_seconds(timeout) if timeout else DEFAULT_ROLLOUT_SECONDS)
        while self._all("pods"):
            if time.monotonic() > deadline:
                msg = "error: timed out waiting for the condition on pods"
                raise KubectlError(msg)
            NEVER.wait(WAIT_TURN_SECONDS)
        return "".join(f'pod "{name}" deleted\n' for name in before) or "No resources found\n"

    def _logs(self, words: list[str]) -> str:
        names, tail = _split(words, {"--tail"})
        logs = self._store.home / "logs"
        wanted = names[0].rpartition("/")[2] if names else ""
        found = sorted(logs.glob(f"{wanted}*.log"), key=lambda path: path.stat().st_mtime)
        if not wanted or not found:
            msg = f'Error from server (NotFound): pods "{wanted}" not found'
            raise KubectlError(msg)
        lines = found[-1].read_text().splitlines(keepends=True)
        return "".join(lines[-int(tail) :] if tail else lines)


def _split(words: list[str], options: set[str]) -> tuple[list[str], str]:
    names, value, words = [], "", list(words)
    while words:
        word = words.pop(0)
        name, equals, text = word.partition("=")
        if name in options:
            value = text if equals else (words.pop(0) if words else "")
        elif word.startswith("-") and word != "--all":
            msg = f"error: unknown flag: {word}"
            raise KubectlError(msg)
        else:
            names.append(word)
    return names, value


def _group(plural: str) -> str:
    return "deployments.apps" if plural == "deployments" else plural


def _short(item: Object) -> str:
    return f"{NAMES[item['kind'].lower() + 's']}/{item['metadata']['name']}"


def _line(item: Object) -> str:
    status: dict[str, Any] = item.get("status") or {}
    waiting = [
        one["state"]["waiting"].get("reason", "")
        for one in status.get("containerStatuses", [])
        if "waiting" in one["state"]
    ]
    shown = ", ".join(waiting) or status.get("phase", "")
    return f"{item['metadata']['name']}   {shown}".rstrip()


def _seconds(text: str) -> float:
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    if text[-1:] not in units or not text[:-1].replace(".", "", 1).isdigit():
        msg = f'error: invalid argument "{text}" for "--timeout" flag'
        raise KubectlError(msg)
    return float(text[:-1]) * units[text[-1]]


def main(arguments: list[str]) -> int:
    """Run; 0 or 1."""
    try:
        sys.stdout.write(Kubectl(Store()).run(arguments))
    except KubectlError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
