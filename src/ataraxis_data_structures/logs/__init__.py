"""What the rig recorded: the logger, its journal, the archives and their reader."""
