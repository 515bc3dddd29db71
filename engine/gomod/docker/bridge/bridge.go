// Package bridge describes how upstream's Terraform Docker provider appears in Pulumi.
//
// The names are those of the official pulumi-docker 5.2.0, so that a program cannot tell
// which of the two plugins serves it. tests/unit/engine compares them with pulumi_docker.
package bridge

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/terraform-providers/terraform-provider-docker/shim"
)

// Package is the Pulumi package name, the first part of every token.
const Package = "docker"

// Version is the plugin's version; the build sets it with -ldflags -X from pins.toml.
var Version = "0.0.0-dev"

// module holds every resource and function: pulumi-docker has one flat module.
const module = "index"

func member(name string) tokens.ModuleMember {
	file := string(name[0]|0x20) + name[1:]
	return tokens.NewModuleMemberToken(
		tokens.NewModuleToken(tokens.NewPackageToken(Package), tokens.ModuleName(module+"/"+file)),
		tokens.ModuleMemberName(name),
	)
}

func functionMember(name string) tokens.ModuleMember {
	return tokens.NewModuleMemberToken(
		tokens.NewModuleToken(tokens.NewPackageToken(Package), tokens.ModuleName(module+"/"+name)),
		tokens.ModuleMemberName(name),
	)
}

func resource(name string, fields map[string]*tfbridge.SchemaInfo) *tfbridge.ResourceInfo {
	return &tfbridge.ResourceInfo{Tok: tokens.Type(member(name)), Fields: fields}
}

func container() *tfbridge.ResourceInfo {
	info := resource("Container", map[string]*tfbridge.SchemaInfo{
		// The bridge would make plurals of these three; pulumi-docker keeps upstream's words.
		"command":           {Name: "command"},
		"networks_advanced": {Name: "networksAdvanced"},
	})
	// A container's name and published ports are unique on a daemon: two cannot overlap.
	info.DeleteBeforeReplace = true
	return info
}

func dataSource(name string) *tfbridge.DataSourceInfo {
	return &tfbridge.DataSourceInfo{Tok: functionMember(name)}
}

// Info returns the bridge's description of the provider.
func Info() tfbridge.ProviderInfo {
	name := map[string]*tfbridge.SchemaInfo{"name": {Name: "name"}}
	return tfbridge.ProviderInfo{
		P:           shimv2.NewProvider(shim.New(Version)),
		Name:        "docker",
		DisplayName: "Docker",
		Description: "Built from public Go modules by airbyte-migration's engine.",
		License:     "Apache-2.0",
		GitHubOrg:   "kreuzwerker",
		Version:     Version,
		Config: map[string]*tfbridge.SchemaInfo{
			"registry_auth": {Name: "registryAuth"},
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"docker_container":      container(),
			"docker_image":          resource("RemoteImage", name),
			"docker_registry_image": resource("RegistryImage", name),
			"docker_network":        resource("Network", nil),
			"docker_volume":         resource("Volume", nil),
			"docker_config":         resource("ServiceConfig", nil),
			"docker_secret":         resource("Secret", nil),
			"docker_service":        resource("Service", nil),
			"docker_plugin":         resource("Plugin", nil),
			"docker_tag":            resource("Tag", nil),
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"docker_registry_image": dataSource("getRegistryImage"),
			"docker_network":        dataSource("getNetwork"),
			"docker_plugin":         dataSource("getPlugin"),
			"docker_image":          dataSource("getRemoteImage"),
			"docker_logs":           dataSource("getLogs"),
		},
		IgnoreMappings: []string{"docker_buildx_builder", "docker_registry_image_manifests"},
	}
}
