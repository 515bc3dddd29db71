"""The hosts are servers: sshd with a pinned key, a Docker engine each, the registry in reach."""

import json
import socket
import subprocess
import sys

import pytest

from lab import docker, keys, machines, registry
from lab.spec import HOSTS, LABEL, REGISTRY, WORLD
from tests.support.fix_lab import Lab

NAMES = [host.name for host in HOSTS]
IMAGE_KEYS = {
    *(f"airbyte/{role}" for role in ("init", "bootloader", "db", "worker", "server", "webapp")),
    *(f"airbyte/{role}" for role in ("temporal", "cron", "connector-builder-server", "proxy")),
    "alpine/socat",
    "postgres",
    "airbyte-migration/db-migration",
    "airbyte-lab/node",
}


@pytest.mark.parametrize("host", NAMES)
def test_host_answers_by_ssh_under_its_name(lab: Lab, host: str) -> None:
    assert lab.ssh(host, "hostname").stdout.strip() == host
    assert lab.docker(host, "version", "--format", "{{.Server.Version}}")


def test_operator_refuses_a_host_with_another_key(lab: Lab) -> None:
    prod, replica = lab.hosts["prod"], lab.hosts["replica"]
    command = keys.ssh_command(lab.spec, prod)
    port = str(lab.spec.loopback_port(prod, 22))
    command[command.index(port)] = str(lab.spec.loopback_port(replica, 22))
    lines = lab.spec.known_hosts.read_text().splitlines()
    wrong = [line.replace(f":{port} ", f":{command[command.index('-p') + 1]} ") for line in lines]
    file = lab.spec.folder / "known_hosts.wrong"
    file.write_text("\n".join(line for line in wrong if line in wrong[:2]) + "\n")
    pinned = [part.replace(str(lab.spec.known_hosts), str(file)) for part in command]
    done = subprocess.run([*pinned, "true"], capture_output=True, text=True, check=False)
    file.unlink()
    assert done.returncode == 255
    assert "HOST IDENTIFICATION HAS CHANGED" in done.stderr


def test_known_hosts_has_each_host_by_loopback_port_and_private_address(lab: Lab) -> None:
    named = {line.split()[0] for line in lab.spec.known_hosts.read_text().splitlines()}
    assert named == {
        *(f"[127.0.0.1]:{lab.spec.loopback_port(host, 22)}" for host in HOSTS),
        *(lab.spec.address(host) for host in HOSTS),
    }


def test_engines_are_apart(lab: Lab) -> None:
    lab.docker("prod", "volume", "create", "lab-test-apart")
    try:
        listed = lab.docker("replica", "volume", "ls", "--quiet").split()
    finally:
        lab.docker("prod", "volume", "rm", "lab-test-apart")
    assert "lab-test-apart" not in listed
    assert docker.labels("volume", "lab-test-apart") is None


def test_hosts_reach_each_other_on_private_addresses(lab: Lab) -> None:
    address = lab.spec.address(lab.hosts["prod"])
    banner = lab.ssh("core-worker-01", f"head -c 8 < /dev/tcp/{address}/22").stdout
    assert banner == "SSH-2.0-"


def test_registry_serves_every_image_of_the_contract_by_digest(lab: Lab) -> None:
    assert set(lab.images) == IMAGE_KEYS
    for key, reference in lab.images.items():
        assert reference.startswith(f"198.51.100.10:5000/{key}@sha256:")
        digest = reference.rpartition("@")[2]
        found = lab.ssh(
            "intermediary",
            "curl -sf -o /dev/null -w '%{http_code}' "
            "-H 'Accept: application/vnd.docker.distribution.manifest.v2+json' "
            f"http://198.51.100.10:5000/v2/{key}/manifests/{digest}",
        )
        assert found.stdout == "200"


def test_hosts_pull_from_the_registry(lab: Lab) -> None:
    reference = lab.images["alpine/socat"]
    lab.docker("intermediary", "pull", "--quiet", reference)
    assert reference in lab.docker(
        "intermediary", "image", "inspect", "--format", "{{json .RepoDigests}}", reference
    )


def test_roles_are_told_by_the_image(lab: Lab) -> None:
    form = "{{json .Config.Env}}"
    for role in ("worker", "connector-builder-server"):
        reference = lab.images[f"airbyte/{role}"]
        lab.docker("intermediary", "pull", "--quiet", reference)
        variables = json.loads(
            lab.docker("intermediary", "image", "inspect", "--format", form, reference)
        )
        assert f"STANDIN_ROLE={role}" in variables


def test_abctl_is_on_prod_and_replica_only(lab: Lab) -> None:
    for name, host in lab.hosts.items():
        found = lab.ssh(name, "command -v abctl", check=False)
        assert (found.returncode == 0) == host.abctl
        if host.abctl:
            pinned = lab.ssh(name, "cat /etc/abctl-lab/node-image").stdout.strip()
            assert pinned == registry.known_images(lab.spec)["airbyte-lab/node"]


def test_everything_carries_the_label(lab: Lab) -> None:
    containers = {lab.spec.container(item) for item in (*HOSTS, REGISTRY, WORLD)}
    assert set(docker.labelled("container", lab.spec.label)) == containers
    assert docker.labelled("network", lab.spec.label) == ["airbyte-lab"]
    assert set(docker.labelled("volume", lab.spec.label)) == {
        *(f"lab-{host.name}-docker" for host in HOSTS),
        "lab-registry-data",
        "lab-world-data",
    }
    found = docker.container("lab-prod")
    assert found is not None
    assert found.labels[LABEL] == "lab"


def test_ports_are_published_on_loopback_only(lab: Lab) -> None:
    for name in docker.labelled("container", lab.spec.label):
        bindings = json.loads(
            docker.run("inspect", "--format", "{{json .HostConfig.PortBindings}}", name)
        )
        assert {entry["HostIp"] for pairs in bindings.values() for entry in pairs} == {"127.0.0.1"}


def test_many_sessions_at_once(lab: Lab) -> None:
    port = lab.port("intermediary", 22)
    sessions = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(40)]
    try:
        assert {session.recv(8) for session in sessions} == {b"SSH-2.0-"}
    finally:
        for session in sessions:
            session.close()


def test_status_for_programs(lab: Lab) -> None:
    command = [sys.executable, "-m", "lab", "status", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    assert done.returncode == 0
    assert answer["up"] is True
    assert set(answer["machines"]) == {*NAMES, "registry", "world"}
    assert answer["machines"]["prod"]["address"] == "198.51.100.11"


def test_up_again_changes_nothing(lab: Lab) -> None:
    names = docker.labelled("container", lab.spec.label)
    form = "{{.Id}} {{.State.StartedAt}}"
    before = docker.run("inspect", "--format", form, *names)
    images = lab.spec.images_file.read_text()
    done = subprocess.run(
        [sys.executable, "-m", "lab", "up"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "building" not in done.stderr
    assert "pushing" not in done.stderr
    assert docker.run("inspect", "--format", form, *names) == before
    assert lab.spec.images_file.read_text() == images


def test_privileges_were_chosen_by_trying(lab: Lab) -> None:
    found = docker.container("lab-prod")
    assert found is not None
    granted = docker.run("inspect", "--format", "{{.HostConfig.Privileged}}", "lab-prod").strip()
    assert (machines.privileges(found.image_id) == ("--privileged",)) == (granted == "true")
