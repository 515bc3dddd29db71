"""Three stages of a toy: components, secrets, explicit providers in all awkward places."""

import pulumi
import pulumi_command as command

settings = pulumi.Config()
stage = settings.require("stage")
password = settings.require_secret("password")
replacing = settings.get_bool("replacing") or False


class Host(pulumi.ComponentResource):
    """A component with a provider of its own, which depends on a resource."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("toy:index:Host", name, {}, opts)
        guard = command.local.Command(
            f"{name}-guard",
            create="echo claimed",
            update="echo claimed",
            environment={"STAGE": stage},
            opts=pulumi.ResourceOptions(parent=self),
        )
        provider = command.Provider(
            f"{name}-provider", opts=pulumi.ResourceOptions(parent=self, depends_on=[guard])
        )
        database = command.local.Command(
            f"{name}-database",
            create="cat",
            stdin=password,
            opts=pulumi.ResourceOptions(
                parent=self, protect=True, additional_secret_outputs=["stdout"]
            ),
        )
        last = command.local.Command(
            f"{name}-airbyte",
            create="echo $MARK > $WHERE; echo made",
            delete="rm -f $WHERE",
            triggers=[stage if replacing else "never"],
            environment={"WHERE": f"{settings.require('folder')}/{name}", "MARK": name},
            opts=pulumi.ResourceOptions(parent=self, provider=provider, depends_on=[database]),
        )
        self.register_outputs({"secret": database.stdout, "made": last.stdout})


prod = Host("prod")
if stage != "v0":
    Host("replica", pulumi.ResourceOptions(depends_on=[prod]))
if stage == "v2":
    Host("intermediary", pulumi.ResourceOptions(depends_on=[prod]))
pulumi.export("stage", stage)
