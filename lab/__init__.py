"""The lab: real hosts as containers on one Docker engine, for the demo and the tests."""
