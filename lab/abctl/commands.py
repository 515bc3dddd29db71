"""abctl's commands and flags, exactly."""

from __future__ import annotations

from .kong import Command, Flag

DOCKER = "ABCTL_LOCAL_INSTALL_DOCKER_"
CHART = Flag(name="chart", xor="chartver", help="Path to chart.")

INSTALL = Command(
    help="Install local Airbyte.",
    flags=(
        CHART,
        Flag(name="chart-version", xor="chartver", help="Version to install."),
        Flag(name="disable-auth", kind="bool", help="Disable auth."),
        Flag(name="docker-email", env=f"{DOCKER}EMAIL", help="Docker email."),
        Flag(name="docker-password", env=f"{DOCKER}PASSWORD", help="Docker password."),
        Flag(
            name="docker-server",
            env=f"{DOCKER}SERVER",
            default="https://index.docker.io/v1/",
            help="Docker server.",
        ),
        Flag(name="docker-username", env=f"{DOCKER}USERNAME", help="Docker username."),
        Flag(name="host", kind="strings", help="HTTP ingress host."),
        Flag(name="insecure-cookies", kind="bool", help="Allow cookies to be served over HTTP."),
        Flag(name="low-resource-mode", kind="bool", help="Run Airbyte in low resource mode."),
        Flag(name="no-browser", kind="bool", help="Disable launching a browser post install."),
        Flag(name="port", kind="int", default="8000", help="HTTP ingress port."),
        Flag(name="secret", kind="files", help="An Airbyte helm chart secret file."),
        Flag(
            name="values",
            kind="file",
            help="An Airbyte helm chart values file to configure helm.",
        ),
        Flag(
            name="volume",
            kind="strings",
            help="Additional volume mounts. Must be in the format <HOST_PATH>:<GUEST_PATH>.",
        ),
    ),
)
LOCAL = Command(
    help="Manage the local Airbyte installation.",
    commands={
        "credentials": Command(
            help="Get local Airbyte user credentials.",
            flags=(
                Flag(name="email", help="Specify a new email address to use for authentication."),
                Flag(name="password", help="Specify a new password to use for authentication."),
            ),
        ),
        "install": INSTALL,
        "deployments": Command(
            help="View local Airbyte deployments.",
            flags=(Flag(name="restart", help="Deployment to restart."),),
        ),
        "status": Command(help="Get local Airbyte status."),
        "uninstall": Command(
            help="Uninstall local Airbyte.",
            flags=(Flag(name="persisted", kind="bool", help="Remove persisted data."),),
        ),
    },
)
MANIFEST = Command(
    help="Display a manifest of images used by Airbyte and abctl.",
    flags=(
        CHART,
        Flag(name="chart-version", xor="chartver", help="Version of the chart."),
        Flag(
            name="values",
            kind="file",
            help="An Airbyte helm chart values file to configure helm.",
        ),
    ),
)
ROOT = Command(
    help="Airbyte's command line tool for managing a local Airbyte installation.",
    flags=(Flag(name="verbose", kind="bool", short="v", help="Enable verbose output."),),
    commands={
        "local": LOCAL,
        "images": Command(
            help="Manage images used by Airbyte and abctl.", commands={"manifest": MANIFEST}
        ),
        "version": Command(help="Display version information."),
    },
)


def usage(path: list[str], command: Command) -> str:
    """Return the help text of a command."""
    name = " ".join(["abctl", *path])
    shown = [*ROOT.flags, *(command.flags if path else ())]
    lines = [f"Usage: {name} {'<command>' if command.commands else ''}[flags]", "", command.help]
    lines += ["", "Flags:", "  -h, --help"]
    lines += [f"      --{flag.name:<24} {flag.help}" for flag in shown]
    if command.commands:
        lines += ["", "Commands:"]
        lines += [f"  {one:<14} {sub.help}" for one, sub in command.commands.items()]
    return "\n".join(lines) + "\n"
