"""`lab`: the command line."""

import json
import os
import shlex
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lab import environment, keys, lifecycle, load, status, system
from lab.errors import LabError
from lab.progress import say
from lab.spec import REGISTRY, WORLD, LabSpec, Machine

SPEC = LabSpec()
MACHINES = {machine.name: machine for machine in (*SPEC.hosts, REGISTRY, WORLD)}


class LabApp(typer.Typer):
    """The command line; a LabError ends it with its three parts and no traceback."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Run."""
        try:
            return super().__call__(*args, **kwargs)
        except LabError as error:
            say(f"error: {error}")
            sys.exit(1)


app = LabApp(
    name="lab",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="Four real hosts (sshd + dockerd), a registry and the outside world, as containers.",
)


def _machine(name: str) -> Machine:
    if name not in MACHINES:
        message = f"must be one of {', '.join(MACHINES)}, got {name}"
        raise typer.BadParameter(message)
    return MACHINES[name]


def _host(name: str) -> Machine:
    found = _machine(name)
    if found not in SPEC.hosts:
        message = f"must be a host ({', '.join(host.name for host in SPEC.hosts)}), got {name}"
        raise typer.BadParameter(message)
    return found


def _argument(parser: Callable[[str], Machine], choices: str) -> object:
    return typer.Argument(parser=parser, metavar="HOST", help=f"One of {choices}.")


AnyMachine = Annotated[Machine, _argument(_machine, ", ".join(MACHINES))]
AnyHost = Annotated[Machine, _argument(_host, ", ".join(host.name for host in SPEC.hosts))]


@app.command()
def up(
    *,
    images: Annotated[bool, typer.Option(help="Build and push the images that hosts pull.")] = True,
) -> None:
    """Start the lab, or repair it: what runs is reused, killed hosts start, cuts are healed."""
    lifecycle.up(SPEC, serve=images)
    _table(status.observe(SPEC))
    say(
        'look around: python -m lab status; eval "$(python -m lab env)". remove: python -m lab down'
    )


@app.command()
def down(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove the lab's local images too.")
    ] = False,
) -> None:
    """Remove every container, network and volume of the lab, its Pulumi state, and nothing else."""
    removed = lifecycle.down(SPEC, everything=everything)
    named = [item for item in removed if not item.startswith("image ")]
    images = len(removed) - len(named)
    parts = [*named, *([f"{images} images"] if images else [])]
    say(f"removed: {', '.join(parts) or 'nothing, there was no lab'}")


@app.command(name="status")
def show(*, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show every machine: state, address, ports, containers. Exit 0 when all run, else 3."""
    observed = status.observe(SPEC)
    if as_json:
        typer.echo(json.dumps(observed.as_json(), indent=2))
    else:
        _table(observed)
    raise typer.Exit(0 if observed.up else 3)


@app.command()
def kill(host: AnyMachine) -> None:
    """Pull the plug of HOST (docker kill): all its processes die, its disk stays."""
    lifecycle.kill(SPEC, host)
    say(f"{host.name} is dead; `python -m lab start {host.name}` boots it again")


@app.command()
def start(host: AnyMachine) -> None:
    """Boot HOST after `kill`: its dockerd, and every container that is to restart by itself."""
    lifecycle.start(SPEC, host)
    say(f"{host.name} runs again, and what was not stopped on it before")


@app.command()
def lose(host: AnyHost) -> None:
    """Replace HOST by an empty one: its disk is gone; its address and its SSH key stay."""
    lifecycle.lose(SPEC, host)
    say(f"{host.name} is empty; `pulumi up` or `db-migration rebuild` fills it")


@app.command()
def cut(host: AnyHost) -> None:
    """Partition HOST from everything: packets vanish (iptables DROP); its processes go on."""
    lifecycle.cut(SPEC, host)
    say(f"{host.name} is cut off; `python -m lab heal {host.name}` brings it back")


@app.command()
def heal(host: AnyMachine) -> None:
    """Undo `cut` or `kill`: let packets through again, or boot HOST and wait for it."""
    lifecycle.heal(SPEC, host)
    say(f"{host.name} is back")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def ssh(context: typer.Context, host: AnyHost) -> None:
    """Log in on HOST, or run there: words (`-- docker ps`) or one shell line (`-- 'a; b'`)."""
    terminal = ["-t"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    program, *arguments = keys.ssh_command(SPEC, host)
    words = context.args
    command = words if len(words) < 2 else [shlex.join(words)]
    os.execvp(program, [program, *terminal, *arguments, *command])  # noqa: S606  no shell wanted


@app.command(
    name="load",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def write_load(context: typer.Context) -> None:
    """Write to prod from outside, and note every acknowledged id on disk (options: --help)."""
    raise typer.Exit(load.main(context.args))


@app.command()
def env() -> None:
    """Print export lines for a shell: `eval "$(python -m lab env)"`."""
    for key, value in environment.variables(SPEC).items():
        typer.echo(f"export {key}={shlex.quote(value)}")


@app.command(name="stop-dockerd")
def stop_dockerd() -> None:
    """Stop the Docker engine, if the lab started it (CI does so at its end)."""
    if not system.stop_engine():
        say("the lab started no engine here; nothing to stop")


def _table(observed: status.LabStatus) -> None:
    table = Table("machine", "state", "address", "on this machine", "containers", box=None)
    for name, item in observed.machines.items():
        ports = " ".join(pair.removeprefix("127.0.0.1:") for pair in item.ports)
        table.add_row(name, item.state, item.address, ports, " ".join(item.containers))
    Console(stderr=True).print(table)
    say(f"images in the registry: {observed.images} · files: {observed.folder}")


def main() -> None:
    """Entry of `python -m lab`."""
    app()
