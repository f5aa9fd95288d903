"""What a rig records, in a store: logs whose sources become items, and series on one clock."""
