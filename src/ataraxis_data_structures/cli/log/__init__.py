"""Commands on what a rig recorded."""
