// Package shim opens the upstream Docker provider to the bridge in ../docker.
//
// Upstream keeps its provider under internal/, which Go lets only packages below the
// same module path import. This module has such a path and is put there by a replace
// directive in ../go.mod.
package shim

import (
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

// New returns upstream's SDKv2 provider, which reports the given version.
func New(version string) *schema.Provider {
	return provider.New(version)()
}
