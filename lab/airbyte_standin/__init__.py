"""Stand-in for Airbyte's own images, for machines where those cannot be had.

One program; STANDIN_ROLE says which part of Airbyte it plays. It behaves as the project's
facts about Airbyte say, refuses what they do not mention, and shares no line with Airbyte.
"""
