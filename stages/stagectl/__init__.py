"""stagectl: moves the one deployment from stage to stage, with a way back.

Promotes by moving Pulumi's state. It never creates, changes or deletes a resource:
what a stage adds is added by the `pulumi up` that follows.
"""
