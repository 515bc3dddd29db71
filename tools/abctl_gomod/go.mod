// The real abctl, built for the tests that compare with it, and for hosts that reach no release.
module airbyte-migration/real-abctl

go 1.24.0

// renovate: datasource=github-releases depName=airbytehq/abctl
require github.com/airbytehq/abctl v0.30.4
