// Command schemagen writes the Pulumi schema of the docker plugin: `schemagen schema --out DIR`.
//
// It is a module of its own because the bridge's generator needs a newer pulumi/pkg than the
// pinned CLI. Nothing at run time depends on it.
package main

import (
	"airbyte-migration/engine/docker/bridge"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"
)

func main() {
	tfgen.Main(bridge.Package, bridge.Version, bridge.Info())
}
