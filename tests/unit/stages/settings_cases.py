"""The table of mistakes in the settings: how to make each, and what must be told."""
# size: one table

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stages.problems import NAMESPACE
from tests.unit.stages import stack_files

HOSTS, PROD, WORKER = "hosts", "prod", "coreWorker"
BETWEEN, ABCTL = "intermediary", "prodAbctl"
PINNED = {
    "airbyte-migration/db-migration": "m@sha256:" + "0" * 64,
    "postgres": "p@sha256:" + "1" * 64,
}
TAGGED = {**PINNED, "postgres": "postgres:17"}


class Draft:
    """A committed stack file that a test spoils."""

    def __init__(self, stack: str) -> None:
        self.file = stack_files.stack_file(stack)
        self.stack = stack

    def get(self, key: str) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.file.plain[f"{NAMESPACE}:{key}"])

    def put(self, key: str, value: object) -> "Draft":
        text = value if isinstance(value, str) else json.dumps(value)
        self.file.plain[f"{NAMESPACE}:{key}"] = text
        return self

    def change(self, key: str, **changes: object) -> "Draft":
        return self.put(key, {**self.get(key), **changes})

    def drop(self, key: str, *path: str) -> None:
        value = self.get(key)
        inner = value
        for part in path[:-1]:
            inner = inner[part]
        del inner[path[-1]]
        self.put(key, value)

    def host(self, name: str, **changes: object) -> None:
        hosts = self.get(HOSTS)
        hosts[name] = {**hosts.get(name, {}), **changes}
        self.put(HOSTS, hosts)

    def feed(self, **changes: object) -> None:
        self.put("feeds", [{**self.get("feeds")[0], **changes}])

    def without_feed(self, source: str, target: str) -> "Draft":
        feeds = self.get("feeds")
        kept = [f for f in feeds if (f["source"], f["target"]) != (source, target)]
        assert len(kept) < len(feeds)
        return self.put("feeds", kept)

    def unset_secret(self, key: str) -> None:
        del self.file.secrets[f"{NAMESPACE}:{key}"]

    def sealed(self, key: str) -> None:
        self.file.secrets[f"{NAMESPACE}:{key}"] = self.file.plain.pop(f"{NAMESPACE}:{key}")

    def in_clear(self, key: str) -> None:
        self.put(key, self.file.secrets.pop(f"{NAMESPACE}:{key}"))


@dataclass(frozen=True, kw_only=True)
class Case:
    test_id: str
    spoil: Callable[[Draft], object]
    key: str
    found: str
    needed: str
    mend: str
    stack: str = "v1"


CASES = (
    Case(
        test_id="unknown key",
        spoil=lambda d: d.put("migrationPasword", "planted in clear under a mistyped name"),
        key="migrationPasword",
        found="an unknown key",
        needed="one of stage, deployment",
        mend="pulumi config rm airbyte-migration:migrationPasword --stack v1",
    ),
    Case(
        test_id="unknown nested key",
        spoil=lambda d: d.change(PROD, prot=1),
        key="prod.prot",
        found="an unknown key",
        needed="one of mode, host, project, version, port",
        mend="pulumi config rm --path airbyte-migration:prod.prot",
    ),
    Case(
        test_id="stage is another than the stack",
        spoil=lambda d: d.put("stage", "v0"),
        key="stage",
        found="v0",
        needed="`v1`, as the stack is called",
        mend="pulumi config set airbyte-migration:stage v1",
    ),
    Case(
        test_id="stage missing",
        spoil=lambda d: d.put("stage", ""),
        key="stage",
        found="nothing",
        needed="`v1`",
        mend="pulumi config set airbyte-migration:stage v1",
    ),
    Case(
        test_id="deployment's name",
        spoil=lambda d: d.put("deployment", "My Lab"),
        key="deployment",
        found="My Lab",
        needed="small letters",
        mend="pulumi config set airbyte-migration:deployment airbyte",
    ),
    Case(
        test_id="structured key missing",
        spoil=lambda d: d.put("replica", "{}"),
        key="replica",
        found="nothing",
        needed='{"host": "replica"}',
        mend="pulumi config set --path airbyte-migration:replica.host replica",
    ),
    Case(
        test_id="text where a mapping belongs",
        spoil=lambda d: d.put("operator", "root"),
        key="operator",
        found="root",
        needed="a mapping",
        mend="pulumi config rm airbyte-migration:operator --stack v1; pulumi config set --path",
    ),
    Case(
        test_id="mapping where a list belongs",
        spoil=lambda d: d.put("feeds", {"name": "x"}),
        key="feeds",
        found="a mapping with name",
        needed="a list",
        mend="airbyte-migration:feeds[0].name",
    ),
    Case(
        test_id="nested key missing",
        spoil=lambda d: d.drop(HOSTS, "prod", "address"),
        key="hosts.prod.address",
        found="nothing",
        needed="address for the operator",
        mend="pulumi config set --path airbyte-migration:hosts.prod.address 192.0.2.10",
    ),
    Case(
        test_id="wrong type",
        spoil=lambda d: d.change(PROD, port="eighty"),
        key="prod.port",
        found='"eighty"',
        needed="port of the web app (input should be a valid integer)",
        mend="pulumi config rm --path airbyte-migration:prod.port --stack v1; "
        "pulumi config set --path airbyte-migration:prod.port 8000",
    ),
    Case(
        test_id="port out of range",
        spoil=lambda d: d.host("prod", sshPort=70000),
        key="hosts.prod.sshPort",
        found="70000",
        needed="less than or equal to 65535",
        mend="pulumi config set --path airbyte-migration:hosts.prod.sshPort 22",
    ),
    Case(
        test_id="choice that does not exist",
        spoil=lambda d: d.change(PROD, mode="import"),
        key="prod.mode",
        found="import",
        needed="`create` or `adopt`",
        mend="pulumi config set --path airbyte-migration:prod.mode adopt",
    ),
    Case(
        test_id="nested in nested",
        spoil=lambda d: d.change(WORKER, adminEndpoint={"host": "a", "sslmode": "maybe"}),
        key="coreWorker.adminEndpoint.sslmode",
        found="maybe",
        needed="`require`",
        mend="airbyte-migration:coreWorker.adminEndpoint.sslmode require",
    ),
    Case(
        test_id="key of v1 in v0",
        spoil=lambda d: d.put("replica", {"host": "replica"}),
        stack="v0",
        key="replica",
        found="a mapping with host",
        needed="nothing: this key belongs to v1",
        mend="pulumi config rm airbyte-migration:replica",
    ),
    Case(
        test_id="secret of v1 in v0",
        spoil=lambda d: d.file.secrets.update({f"{NAMESPACE}:migrationPassword": "planted"}),
        stack="v0",
        key="migrationPassword",
        found="a value that is sealed",
        needed="nothing: this key belongs to v1",
        mend="pulumi config rm airbyte-migration:migrationPassword",
    ),
    Case(
        test_id="secret missing",
        spoil=lambda d: d.unset_secret("migrationPassword"),
        key="migrationPassword",
        found="nothing",
        needed="an encrypted value",
        mend="pulumi config set --secret airbyte-migration:migrationPassword",
    ),
    Case(
        test_id="secret in clear",
        spoil=lambda d: d.in_clear("prodDatabasePassword"),
        key="prodDatabasePassword",
        found="a value in clear",
        needed="an encrypted value",
        mend="pulumi config set --secret airbyte-migration:prodDatabasePassword",
    ),
    Case(
        test_id="identity file",
        spoil=lambda d: d.change("operator", identityFile="~/nowhere"),
        key="operator.identityFile",
        found="~/nowhere, which is no file that can be read",
        needed="the operator's private SSH key",
        mend="airbyte-migration:operator.identityFile",
    ),
    Case(
        test_id="known_hosts file",
        spoil=lambda d: d.change("operator", knownHostsFile="~/nowhere"),
        key="operator.knownHostsFile",
        found="~/nowhere, which is no known_hosts file",
        needed="the key of every host",
        mend="airbyte-migration:operator.knownHostsFile",
    ),
    Case(
        test_id="host key unknown",
        spoil=lambda d: d.host("prod", sshPort=2299),
        key="hosts.prod.address",
        found="no key of `[127.0.0.1]:2299`",
        needed="the host's key",
        mend="ssh-keyscan -t ed25519 -p 2299 127.0.0.1 >> ~/.cache",
    ),
    Case(
        test_id="host that does not exist",
        spoil=lambda d: d.change(WORKER, host="core-worker-02"),
        key="coreWorker.host",
        found="core-worker-02",
        needed="a host of `hosts`",
        mend="airbyte-migration:coreWorker.host",
    ),
    Case(
        test_id="the copy on prod's own host",
        spoil=lambda d: d.change(WORKER, host="prod"),
        key="coreWorker.host",
        found="prod, prod's own host",
        needed="another host",
        mend="airbyte-migration:coreWorker.host core-worker-01",
    ),
    Case(
        test_id="one host under two names",
        spoil=lambda d: d.host("replica", sshPort=2213),
        key="hosts.replica.address",
        found="127.0.0.1 port 2213, which is `core-worker-01` too",
        needed="one name for each host",
        mend="pulumi config rm --path airbyte-migration:hosts.replica",
    ),
    Case(
        test_id="port clash on one host",
        spoil=lambda d: d.change("replica", host="core-worker-01", port=5432),
        key="replica.port",
        found="port 5432 of `core-worker-01` for core-worker-01 and the replica's web app",
        needed="a port of its own",
        mend="airbyte-migration:replica.port 5532",
    ),
    Case(
        test_id="prod's port on one of the proxy's",
        spoil=lambda d: d.change(PROD, port=8001),
        stack="v0",
        key="prod.port",
        found="port 8001 of `prod`",
        needed="a port of its own",
        mend="airbyte-migration:prod.port",
    ),
    Case(
        test_id="prod's port on the gateway's",
        spoil=lambda d: d.change(PROD, port=15432),
        key="prod.port",
        found="the feed's gateway",
        needed="a port of its own",
        mend="airbyte-migration:prod.port",
    ),
    Case(
        test_id="release without that compose file",
        spoil=lambda d: d.change(PROD, version="0.64.1"),
        key="prod.version",
        found="0.64.1",
        needed="0.63.9 to 0.63.19",
        mend="airbyte-migration:prod.version 0.63.19",
    ),
    Case(
        test_id="release nobody knows, in containers of ours",
        spoil=lambda d: d.change(PROD, version="0.64.1", acceptVersion=True),
        key="prod.version",
        found="0.64.1",
        needed="0.63.9 to 0.63.19",
        mend="airbyte-migration:prod.version 0.63.19",
    ),
    Case(
        test_id="chart that is not known",
        spoil=lambda d: d.change("replica", chartVersion="2.3.0"),
        key="replica.chartVersion",
        found="2.3.0",
        needed="1.8.5, 2.0.17, 2.2.0; or your word",
        mend="airbyte-migration:replica.chartVersion 1.8.5",
    ),
    Case(
        test_id="chart whose Airbyte is another",
        spoil=lambda d: d.change("replica", chartVersion="2.0.17", chartAirbyte="2.0.17"),
        key="replica.chartVersion",
        found="Airbyte 2.0.17 in chart 2.0.17",
        needed="Airbyte 1.8.5",
        mend="pulumi config rm --path airbyte-migration:replica.chartAirbyte",
    ),
    Case(
        test_id="chart older than its web app's end",
        spoil=lambda d: d.change("replica", chartVersion="1.7.0", chartAirbyte="1.7.0"),
        key="replica.chartVersion",
        found="Airbyte 1.7.0",
        needed="1.8 or newer",
        mend="airbyte-migration:replica.chartVersion 1.8.5",
    ),
    Case(
        test_id="value that the chart would misread",
        spoil=lambda d: d.change("replica", values={"workloadLauncher": {"resources": {}}}),
        key="replica.values",
        found="`workloadLauncher",
        needed="",
        mend="airbyte-migration:replica.values",
    ),
    Case(
        test_id="feed from an unknown database",
        spoil=lambda d: d.feed(source="staging"),
        key="feeds[0].source",
        found="staging",
        needed="a database of this stage: prod",
        mend="'airbyte-migration:feeds[0].source' prod",
    ),
    Case(
        test_id="feed to an unknown database",
        spoil=lambda d: d.feed(target="prod"),
        key="feeds[0].target",
        found="prod",
        needed="a database of this stage: core-worker-01",
        mend="'airbyte-migration:feeds[0].target' core-worker-01",
    ),
    Case(
        test_id="two writers of one mirror",
        spoil=lambda d: d.put("feeds", d.get("feeds") * 2),
        key="feeds[1]",
        found="a second feed",
        needed="a mirror has one writer",
        mend="pulumi config rm --path 'airbyte-migration:feeds[1]'",
    ),
    Case(
        test_id="images file missing",
        spoil=lambda d: d.put("imagesFile", "~/nowhere.json"),
        key="imagesFile",
        found="~/nowhere.json, which is no JSON mapping",
        needed="reference by digest",
        mend="pulumi config set airbyte-migration:imagesFile images.json",
    ),
    Case(
        test_id="no images at all",
        spoil=lambda d: d.put("imagesFile", ""),
        key="imagesFile",
        found="nothing",
        needed="or the mapping `images`",
        mend="pulumi config set airbyte-migration:imagesFile images.json",
    ),
    Case(
        test_id="images twice",
        spoil=lambda d: d.put("images", {"postgres": "p@sha256:" + "0" * 64}),
        key="imagesFile",
        found="and `images` too",
        needed="one of the two",
        mend="pulumi config rm airbyte-migration:imagesFile",
    ),
    Case(
        test_id="image by tag",
        spoil=lambda d: d.change(PROD, mode="adopt").put("imagesFile", "").put("images", TAGGED),
        key="images.postgres",
        found="postgres:17",
        needed="a reference by digest",
        mend="pulumi config set --path",
    ),
    Case(
        test_id="unknown image",
        spoil=lambda d: d.change(PROD, mode="adopt")
        .put("imagesFile", "")
        .put("images", {**PINNED, "redis": "redis"}),
        key="images.redis",
        found="unknown image",
        needed="one of",
        mend="pulumi config rm --path",
    ),
    Case(
        test_id="number as text",
        spoil=lambda d: d.change(PROD, port="8000"),
        key="prod.port",
        found='"8000"',
        needed="input should be a valid integer",
        mend="pulumi config set --path airbyte-migration:prod.port 8000 --stack v1",
    ),
    Case(
        test_id="a structured value that is sealed",
        spoil=lambda d: d.sealed("replica"),
        key="replica",
        found="a value that is sealed",
        needed="the value in clear",
        mend="pulumi config rm airbyte-migration:replica",
    ),
    Case(
        test_id="password in a nested key",
        spoil=lambda d: d.change(WORKER, adminEndpoint={"host": "a", "password": "planted"}),
        key="coreWorker.adminEndpoint.password",
        found="an unknown key",
        needed="one of host, port, sslmode, user",
        mend="pulumi config rm --path airbyte-migration:coreWorker.adminEndpoint.password",
    ),
    Case(
        test_id="password in an address for people",
        spoil=lambda d: d.change(PROD, url="http://me:planted@airbyte.example.com"),
        key="prod.url",
        found="http://…@airbyte.example.com",
        needed="no path and no user",
        mend="airbyte-migration:prod.url https://airbyte.example.com",
    ),
    Case(
        test_id="a pattern is told in words",
        spoil=lambda d: d.host("prod", address="-oProxyCommand"),
        key="hosts.prod.address",
        found="-oProxyCommand",
        needed="IPv4 or a name, without the port",
        mend="airbyte-migration:hosts.prod.address 192.0.2.10",
    ),
    Case(
        test_id="nothing where a mapping belongs",
        spoil=lambda d: d.put(HOSTS, {**d.get(HOSTS), "spare": None}),
        key="hosts.spare",
        found="nothing",
        needed="a mapping with address",
        mend="airbyte-migration:hosts.spare.address 192.0.2.10",
    ),
    Case(
        test_id="host name with a dot",
        spoil=lambda d: d.host("a.b", address="192.0.2.1"),
        key='hosts["a.b"]',
        found="a.b",
        needed="small letters",
        mend="pulumi config rm --path 'airbyte-migration:hosts[\"a.b\"]'",
    ),
    Case(
        test_id="two hosts behind one private address",
        spoil=lambda d: d.host("replica", privateAddress="198.51.100.13"),
        key="hosts.replica.privateAddress",
        found="198.51.100.13 port 22, which is `core-worker-01` too",
        needed="one name for each host",
        mend="pulumi config rm --path airbyte-migration:hosts.replica",
    ),
    Case(
        test_id="port of the SSH server",
        spoil=lambda d: d.change("replica", port=22),
        key="replica.port",
        found="port 22 of `replica` for SSH and the replica's web app",
        needed="a port of its own",
        mend="airbyte-migration:replica.port 122",
    ),
    Case(
        test_id="no TLS to a server of ours",
        spoil=lambda d: d.change(WORKER, adminEndpoint={"host": "a", "sslmode": "disable"}),
        key="coreWorker.adminEndpoint.sslmode",
        found="disable",
        needed="a server of ours takes TLS only",
        mend="airbyte-migration:coreWorker.adminEndpoint.sslmode require",
    ),
    Case(
        test_id="superuser that is a role of ours",
        spoil=lambda d: d.change(WORKER, adminEndpoint={"host": "a", "user": "airbyte"}),
        key="coreWorker.adminEndpoint.user",
        found="airbyte, which is a role that this program makes",
        needed="the superuser",
        mend="airbyte-migration:coreWorker.adminEndpoint.user postgres",
    ),
    Case(
        test_id="a line for pg_hba.conf in a name",
        spoil=lambda d: d.change(WORKER, adminEndpoint={"host": "a", "user": "p\nhost all"}),
        key="coreWorker.adminEndpoint.user",
        found='"p\\nhost all"',
        needed="small letters, digits and `_`",
        mend="airbyte-migration:coreWorker.adminEndpoint.user postgres",
    ),
    Case(
        test_id="address where a domain name belongs",
        spoil=lambda d: d.change("replica", publicHost="192.0.2.3"),
        key="replica.publicHost",
        found="192.0.2.3",
        needed="a full domain name, no address",
        mend="airbyte-migration:replica.publicHost airbyte.example.com",
    ),
    Case(
        test_id="hours without end",
        spoil=lambda d: d.feed(refreshHours=float("inf")),
        key="feeds[0].refreshHours",
        found="Infinity",
        needed="finite number",
        mend="'airbyte-migration:feeds[0].refreshHours' 24",
    ),
    Case(
        test_id="home folder of nobody",
        spoil=lambda d: d.change("operator", identityFile="~nobody-of-that-name/key"),
        key="operator.identityFile",
        found="which is no file that can be read",
        needed="private SSH key",
        mend="airbyte-migration:operator.identityFile",
    ),
    Case(
        test_id="unknown key with a dot",
        spoil=lambda d: d.put("prod.port", "8000"),
        key="prod.port",
        found="an unknown key",
        needed="one of stage, deployment",
        mend="pulumi config rm airbyte-migration:prod.port --stack v1",
    ),
    Case(
        test_id="nested mapping missing",
        spoil=lambda d: d.drop(WORKER, "adminEndpoint"),
        key="coreWorker.adminEndpoint",
        found="nothing",
        needed="where the operator reaches it",
        mend="airbyte-migration:coreWorker.adminEndpoint.host 192.0.2.20 --stack v1, and so on",
    ),
    Case(
        test_id="key of v2 in v1",
        spoil=lambda d: d.put("cutover", "hold"),
        key="cutover",
        found="hold",
        needed="nothing: this key belongs to v2",
        mend="pulumi config rm airbyte-migration:cutover --stack v1",
    ),
    Case(
        test_id="key of v2 in v0",
        spoil=lambda d: d.put("intermediary", {"host": "intermediary"}),
        stack="v0",
        key="intermediary",
        found="a mapping with host",
        needed="nothing: this key belongs to v2",
        mend="pulumi config rm airbyte-migration:intermediary --stack v0",
    ),
    Case(
        test_id="secret of v2 in v1",
        spoil=lambda d: d.file.secrets.update({f"{NAMESPACE}:prodClientSecret": "planted"}),
        key="prodClientSecret",
        found="a value that is sealed",
        needed="nothing: this key belongs to v2",
        mend="pulumi config rm airbyte-migration:prodClientSecret --stack v1",
    ),
    Case(
        test_id="secret of v2 missing",
        spoil=lambda d: d.unset_secret("intermediaryAdminPassword"),
        stack="v2",
        key="intermediaryAdminPassword",
        found="nothing",
        needed="an encrypted value",
        mend="pulumi config set --secret airbyte-migration:intermediaryAdminPassword --stack v2",
    ),
    Case(
        test_id="nobody says whether prod moves",
        spoil=lambda d: d.put("cutover", ""),
        stack="v2",
        key="cutover",
        found="nothing",
        needed="`hold` or `go`",
        mend="pulumi config set airbyte-migration:cutover hold --stack v2",
    ),
    Case(
        test_id="a word that is no cut-over",
        spoil=lambda d: d.put("cutover", "yes"),
        stack="v2",
        key="cutover",
        found="yes",
        needed="`hold` or `go`",
        mend="pulumi config set airbyte-migration:cutover hold --stack v2",
    ),
    Case(
        test_id="a cut-over that is sealed",
        spoil=lambda d: d.sealed("cutover"),
        stack="v2",
        key="cutover",
        found="a value that is sealed",
        needed="the value in clear",
        mend="pulumi config rm airbyte-migration:cutover --stack v2",
    ),
    Case(
        test_id="no time to drain",
        spoil=lambda d: d.change("drain", seconds=0),
        stack="v2",
        key="drain.seconds",
        found="0",
        needed="seconds that running syncs may take to end (input should be greater than 0)",
        mend="pulumi config set --path airbyte-migration:drain.seconds 300 --stack v2",
    ),
    Case(
        test_id="time to drain in words",
        spoil=lambda d: d.change("drain", seconds="five minutes"),
        stack="v2",
        key="drain.seconds",
        found="five minutes",
        needed="seconds that running syncs may take to end",
        mend="pulumi config set --path airbyte-migration:drain.seconds 300 --stack v2",
    ),
    Case(
        test_id="an unknown way to drain",
        spoil=lambda d: d.change("drain", policy="kill"),
        stack="v2",
        key="drain.policy",
        found="kill",
        needed="`abort` the move",
        mend="pulumi config set --path airbyte-migration:drain.policy abort --stack v2",
    ),
    Case(
        test_id="a checksum that is none",
        spoil=lambda d: d.put("abctlSha256", {"amd64": "sha256:" + "0" * 57}),
        stack="v1",
        key="abctlSha256.amd64",
        found="sha256:000",
        needed="from the release's own list",
        mend="pulumi config set --path airbyte-migration:abctlSha256.amd64 000",
    ),
    Case(
        test_id="a pace that never begins",
        spoil=lambda d: d.put("schedules", {"runningAtMost": 0}),
        stack="v1",
        key="schedules.runningAtMost",
        found="0",
        needed="the next begins at once while fewer run",
        mend="pulumi config set --path airbyte-migration:schedules.runningAtMost 5 --stack v1",
    ),
    Case(
        test_id="no intermediary",
        spoil=lambda d: d.put(BETWEEN, ""),
        stack="v2",
        key="intermediary",
        found="nothing",
        needed='{"kind": "container", "host": "intermediary"',
        mend="pulumi config set --path airbyte-migration:intermediary.kind container --stack v2",
    ),
    Case(
        test_id="an intermediary that exists already",
        spoil=lambda d: d.change(BETWEEN, kind="existing"),
        stack="v2",
        key="intermediary.kind",
        found="existing",
        needed="`container`",
        mend="pulumi config set --path airbyte-migration:intermediary.kind container",
    ),
    Case(
        test_id="prod and its database on one host",
        spoil=lambda d: d.change(BETWEEN, host="prod"),
        stack="v2",
        key="intermediary.host",
        found="prod, the host of prod's abctl",
        needed="prod and its database would be on one host",
        mend="pulumi config set --path airbyte-migration:intermediary.host intermediary",
    ),
    Case(
        test_id="prod's database and its copy on one host",
        spoil=lambda d: d.change(BETWEEN, host="core-worker-01", port=5433),
        stack="v2",
        key="intermediary.host",
        found="core-worker-01, the host of core-worker-01",
        needed="database and copy would be on one host",
        mend="pulumi config set --path airbyte-migration:intermediary.host intermediary",
    ),
    Case(
        test_id="prod's database beside what stands in for prod",
        spoil=lambda d: d.change(BETWEEN, host="replica"),
        stack="v2",
        key="intermediary.host",
        found="replica, the replica's host",
        needed="must outlive its database",
        mend="pulumi config set --path airbyte-migration:intermediary.host intermediary",
    ),
    Case(
        test_id="the intermediary on a host that does not exist",
        spoil=lambda d: d.change(BETWEEN, host="tbd"),
        stack="v2",
        key="intermediary.host",
        found="tbd",
        needed="a host of `hosts`: prod, core-worker-01, replica, intermediary",
        mend="airbyte-migration:intermediary.host",
    ),
    Case(
        test_id="prod's new port is compose's web app's",
        spoil=lambda d: d.change(ABCTL, port=8000),
        stack="v2",
        key="prodAbctl.port",
        found="port 8000 of `prod` for prod's web app and the web app of prod's abctl",
        needed="a port of its own",
        mend="pulumi config set --path airbyte-migration:prodAbctl.port 8100",
    ),
    Case(
        test_id="prod's new port is one of compose's proxy's",
        spoil=lambda d: d.change(ABCTL, port=8001),
        stack="v2",
        key="prodAbctl.port",
        found="port 8001 of `prod` for compose's proxy",
        needed="a port of its own",
        mend="pulumi config set --path airbyte-migration:prodAbctl.port 8101",
    ),
    Case(
        test_id="prod's new port is the gateway's",
        spoil=lambda d: d.change(ABCTL, port=15432),
        stack="v2",
        key="prodAbctl.port",
        found="port 15432 of `prod` for the feed's gateway",
        needed="a port of its own",
        mend="pulumi config set --path airbyte-migration:prodAbctl.port",
    ),
    Case(
        test_id="prod and the replica on one host",
        spoil=lambda d: d.change(ABCTL, host="replica"),
        stack="v2",
        key="prodAbctl.host",
        found="replica, the replica's host",
        needed="a host has one abctl",
        mend="pulumi config set --path airbyte-migration:prodAbctl.host prod",
    ),
    Case(
        test_id="two charts on one database",
        spoil=lambda d: d.change(ABCTL, chartVersion="2.0.17"),
        stack="v2",
        key="prodAbctl.chartVersion",
        found="2.0.17, and 1.8.5 of the replica",
        needed="after a failover they share a database",
        mend="pulumi config set --path airbyte-migration:prodAbctl.chartVersion 1.8.5",
    ),
    Case(
        test_id="go without a copy to go to",
        spoil=lambda d: d.without_feed("prod", "intermediary"),
        stack="v2",
        key="feeds",
        found="no feed from prod to intermediary",
        needed="prod moves to a verified copy",
        mend="'airbyte-migration:feeds[3].name' prod-to-intermediary --stack v2, and so on",
    ),
    Case(
        test_id="go without the standby's copy",
        spoil=lambda d: d.without_feed("prod", "core-worker-01"),
        stack="v2",
        key="feeds",
        found="no feed from prod to core-worker-01",
        needed="leaves the standby's copy in step",
        mend="'airbyte-migration:feeds[3].name' prod-to-core-worker-01",
    ),
    Case(
        test_id="no copy after the cut-over",
        spoil=lambda d: d.without_feed("intermediary", "core-worker-01").put("cutover", "hold"),
        stack="v2",
        key="feeds",
        found="no feed from intermediary to core-worker-01",
        needed="after a failover it keeps the copy",
        mend="'airbyte-migration:feeds[3].name' intermediary-to-core-worker-01",
    ),
    Case(
        test_id="no copy after a failover",
        spoil=lambda d: d.without_feed("core-worker-01", "intermediary"),
        stack="v2",
        key="feeds",
        found="no feed from core-worker-01 to intermediary",
        needed="after a failover it keeps the copy",
        mend="'airbyte-migration:feeds[3].name' core-worker-01-to-intermediary",
    ),
    Case(
        test_id="feed of v2 in v1",
        spoil=lambda d: d.feed(target="intermediary"),
        key="feeds[0].target",
        found="intermediary",
        needed="a database of this stage: core-worker-01",
        mend="'airbyte-migration:feeds[0].target' core-worker-01",
    ),
    Case(
        test_id="feed into a database of nobody",
        spoil=lambda d: d.put(
            "feeds", [*d.get("feeds"), {"name": "x", "source": "prod", "target": "warehouse"}]
        ),
        stack="v2",
        key="feeds[4].target",
        found="warehouse",
        needed="a database of this stage: core-worker-01, intermediary",
        mend="'airbyte-migration:feeds[4].target' core-worker-01",
    ),
    Case(
        test_id="feed into itself",
        spoil=lambda d: d.put(
            "feeds",
            [*d.get("feeds"), {"name": "x", "source": "intermediary", "target": "intermediary"}],
        ),
        stack="v2",
        key="feeds[4]",
        found="`x`, from intermediary to itself",
        needed="two databases",
        mend="pulumi config rm --path 'airbyte-migration:feeds[4]'",
    ),
    Case(
        test_id="feed that is not called after its sides",
        spoil=lambda d: d.put(
            "feeds",
            [{**d.get("feeds")[0], "name": "copy"}, *d.get("feeds")[1:]],
        ),
        stack="v2",
        key="feeds[0].name",
        found="copy",
        needed="prod-to-core-worker-01: the script reads the sides from the name",
        mend="'airbyte-migration:feeds[0].name' prod-to-core-worker-01",
    ),
    Case(
        test_id="two feeds that would be live at once",
        spoil=lambda d: d.put("feeds", [*d.get("feeds"), {**d.get("feeds")[1], "name": "again"}]),
        stack="v2",
        key="feeds[4]",
        found="a second feed from prod to intermediary, `again`",
        needed="both would be live at once, and a mirror has one writer",
        mend="pulumi config rm --path 'airbyte-migration:feeds[4]'",
    ),
    Case(
        test_id="two feeds of one name",
        spoil=lambda d: d.put(
            "feeds", [*d.get("feeds")[:3], {**d.get("feeds")[3], "name": "prod-to-intermediary"}]
        ),
        stack="v2",
        key="feeds[3].name",
        found="another feed's name too",
        needed="a name of its own",
        mend="'airbyte-migration:feeds[3].name' core-worker-01-to-intermediary",
    ),
    Case(
        test_id="a feed with a mistake is not missed as well",
        spoil=lambda d: d.put("feeds", [*d.get("feeds")[:3], {**d.get("feeds")[3], "mode": "no"}]),
        stack="v2",
        key="feeds[3].mode",
        found="no",
        needed="`auto`, `logical` or `snapshot`",
        mend="'airbyte-migration:feeds[3].mode' auto",
    ),
    Case(
        test_id="a snapshot without end",
        spoil=lambda d: d.feed(snapshotIntervalSeconds=0),
        key="feeds[0].snapshotIntervalSeconds",
        found="0",
        needed="seconds between two snapshots",
        mend="'airbyte-migration:feeds[0].snapshotIntervalSeconds' 300",
    ),
    Case(
        test_id="no TLS to the intermediary",
        spoil=lambda d: d.change(BETWEEN, adminEndpoint={"host": "a", "sslmode": "disable"}),
        stack="v2",
        key="intermediary.adminEndpoint.sslmode",
        found="disable",
        needed="a server of ours takes TLS only",
        mend="airbyte-migration:intermediary.adminEndpoint.sslmode require",
    ),
    Case(
        test_id="superuser that is an instance's login",
        spoil=lambda d: d.change(WORKER, adminEndpoint={"host": "a", "user": "airbyte_prod"}),
        key="coreWorker.adminEndpoint.user",
        found="airbyte_prod, which is a role that this program makes",
        needed="the superuser",
        mend="airbyte-migration:coreWorker.adminEndpoint.user postgres",
    ),
)
