// Command docker is pulumi-resource-docker, bridged from upstream's Terraform provider.
package main

import (
	_ "embed"

	"airbyte-migration/engine/docker/bridge"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
)

// schema.json is written by ../schemagen; engine/README.md says how and when.
//
//go:embed schema.json
var schema []byte

func main() {
	tfbridge.Main(bridge.Package, bridge.Version, bridge.Info(), schema)
}
