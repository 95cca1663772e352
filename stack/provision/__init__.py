"""`make provision`: CloudFormation change sets of aws/telemetry.yaml, for an account or emulators.

They go one way: account, template → existing → change_set.
"""
