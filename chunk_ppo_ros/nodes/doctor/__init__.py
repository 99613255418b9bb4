"""The command `doctor`, which looks at a workstation and at a running robot, and changes nothing."""
