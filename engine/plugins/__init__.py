"""TEST EQUIPMENT: local imitations of the official command and postgresql plugins.

They exist for machines that reach package registries but neither the official plugin
downloads nor the plugins' Go sources. `engine.choice` never picks them where the official
plugin can be had. They serve only the resources that this project uses, under the official
names, and copy the behaviour that the program's correctness leans on.
"""
