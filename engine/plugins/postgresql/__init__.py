"""TEST EQUIPMENT: imitation of pulumi-postgresql for the resources that this project uses."""
