"""Where messages come from: what each kind of device is opened, read and closed by."""
