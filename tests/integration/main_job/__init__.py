"""One deployment for all of it: a package, so that its fixtures end with it."""
