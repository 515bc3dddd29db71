"""The lab's node, in place of a kind node with Kubernetes, ingress-nginx and Airbyte's pods."""
